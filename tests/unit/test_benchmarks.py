"""What the benchmarks conclude from their figures."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks import document, growth, peers, processes, rounds
from benchmarks.goals import Goal, medians, percentile, verdicts
from benchmarks.peer_programs import run_log

FASTER = Goal("faster", "peer", "noop", "noop", 3)
CHEAPER = Goal("cheaper", "peer", "cpu", "cpu", 0.5, at_least=False)


def of(ours: float, theirs: float, name: str = "noop") -> dict[str, dict[str, float]]:
    return {"daef": {name: ours}, "peer": {name: theirs}}


def test_a_goal_is_met_that_holds_in_four_rounds_of_five():
    good, bad = of(30, 10), of(29, 10)
    assert verdicts([good, good, good, good, bad], [FASTER])[0].met
    assert not verdicts([good, good, good, bad, bad], [FASTER])[0].met


def test_of_three_rounds_a_goal_has_to_hold_in_all():
    assert not verdicts([of(30, 10), of(30, 10), of(1, 10)], [FASTER])[0].met


def test_a_goal_may_be_a_ratio_that_is_not_passed():
    assert verdicts([of(5, 10, "cpu")], [CHEAPER])[0].met
    assert not verdicts([of(6, 10, "cpu")], [CHEAPER])[0].met


def test_a_goal_that_was_not_measured_has_no_verdict():
    assert verdicts([{"daef": {"noop": 1.0}}], [FASTER]) == []


def test_a_verdict_tells_median_and_rounds():
    found = str(verdicts([of(30, 10), of(50, 10), of(10, 10)], [FASTER])[0])
    assert found.startswith("MISSED in 2 of 3 rounds")
    assert "3.00×" in found


def test_figures_of_rounds_become_medians():
    assert medians([of(1, 5), of(3, 7), of(2, 6)]) == of(2, 6)


@pytest.mark.parametrize(("share", "value"), [(0, 1), (0.5, 2.5), (1, 4)])
def test_percentiles_lie_between_their_neighbours(share: float, value: float):
    assert percentile([4, 1, 3, 2], share) == value


def test_runs_of_all_worker_processes_are_counted(tmp_path: Path):
    log = run_log.RunLog(str(tmp_path))
    log.ran()
    if (child := os.fork()) == 0:
        log.ran()
        log.ran()
        os._exit(0)
    os.waitpid(child, 0)
    count, last = run_log.read(tmp_path)
    assert count == 3
    assert 0 <= time.monotonic() - last < 60


def test_a_worker_that_is_just_starting_is_not_read_yet(tmp_path: Path):
    run_log.RunLog(str(tmp_path)).ran()
    (tmp_path / f"1{run_log.UNFINISHED}").touch()
    assert run_log.read(tmp_path)[0] == 1


def test_processor_time_of_children_that_ended_is_counted():
    work = f"read go; {sys.executable} -Sc 'sum(range(10**7))'; read end"
    with psutil.Popen(["sh", "-c", work], stdin=subprocess.PIPE) as shell:
        before = processes.cpu_seconds({"shell": [shell.pid]})
        shell.stdin.write(b"\n")
        shell.stdin.flush()
        deadline = time.monotonic() + 30
        while (used := processes.cpu_seconds({"shell": [shell.pid]}) - before)["shell"] < 0.05:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        shell.stdin.close()
    assert used["shell"] >= 0.05


def test_the_packages_of_every_peer_are_pinned():
    pinned = (peers.CHECKOUT / "requirements-bench.txt").read_text(encoding="utf-8")
    wanted = {package for peer in peers.PEERS for package in peer.packages} - {"kombu"}
    assert wanted <= set(re.findall(r"^([a-z]+).*==", pinned, flags=re.MULTILINE))


def test_the_page_names_every_system_with_what_survives():
    figures = {peer.name: {"noop": 10.0, "cpu": 5.0, "calibration_ms": 1.0} for peer in peers.PEERS}
    figures["daef"] = {"noop": 1000.0, "cpu": 1.0, "calibration_ms": 1.0}
    run = {
        "date": "2026-01-01", "load_before": 0.0, "machine": ["a processor"],
        "versions": {"rq": "3"}, "tasks": 100,
        "slots": 8, "rounds": [figures],
    }  # fmt: skip
    page = document.measured(run)
    assert all(peer.durability in page for peer in peers.PEERS)
    assert "| no-op tasks a second against Celery | ≥ 25× | 100× | 100× | 1 of 1 | met |" in page


def test_a_cost_that_grows_with_history_or_agents_is_told():
    def cost(microseconds: float) -> growth.Cost:
        return growth.Cost(1, 1, rate=1.0, cpu={"gateway": microseconds}, memory={})

    assert growth.growth_with_history([cost(100), cost(50), cost(80), cost(60)]) == 1.6
    assert growth.growth_with_agents([cost(100), cost(50), cost(130)]) == 1.3


def test_fewer_tasks_are_fewer_for_all_in_proportion():
    plan = rounds.Plan(rounds.MEASURES, tasks=10_000, slots=8)
    assert plan.scaled(1_500) == 150
    assert rounds.Plan(rounds.MEASURES, tasks=200_000, slots=8).scaled(1_500) == 1_500


def test_a_system_that_fails_does_not_cost_the_round(capsys: pytest.CaptureFixture[str]):
    class Unreachable:
        def empty(self) -> None:
            raise ConnectionError("the stores are gone")

    plan = rounds.Plan(rounds.MEASURES, tasks=100, slots=8)
    assert rounds.measured(plan, peers.PEERS[:2], False, Unreachable(), turn=0) == {}  # type: ignore[arg-type]
    assert "rq-simple      FAILED: ConnectionError: the stores are gone" in capsys.readouterr().out


def test_what_is_stopped_stands_still_and_goes_on_afterwards():
    loop = "while :; do sleep 0.01; done"
    with psutil.Popen(["sh", "-c", loop]) as shell:
        try:
            with processes.stopped([shell.pid]):
                deadline = time.monotonic() + 10
                while shell.status() != psutil.STATUS_STOPPED:
                    assert time.monotonic() < deadline
            assert shell.status() != psutil.STATUS_STOPPED
        finally:
            shell.kill()
