"""The fault points themselves: what may be written, who may use them, and that they are there."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import faultpoints
from tests.architecture.source import ROOT, product_files
from tests.faults.arming import ROLES
from tests.faults.mischief import KINDS

PROGRAM = (
    "import os, pathlib, faultpoints\n"
    "faultpoints.arm(os.environ, pathlib.Path(os.environ['FOLDER']))\n"
    "for _ in range(3):\n"
    "    faultpoints.reach('migrator.mid')\n"
    "print('alive')\n"
)


def armed(tmp_path: Path, faults: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A process of its own that passes one point three times."""
    environment = {**os.environ, "DAEF_FAULTS": faults, "FOLDER": str(tmp_path), **more}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        start_new_session=True,
        check=False,
    )


def test_a_killing_point_ends_the_process_after_its_line_is_written(tmp_path: Path):
    ended = armed(tmp_path, "migrator.mid=kill@2", DAEF_TEST_KINDS="1")
    assert ended.returncode == -signal.SIGKILL
    assert "fault fired: migrator.mid kill" in ended.stderr
    logged = (tmp_path / "faults.log").read_text(encoding="utf-8").splitlines()
    assert len(logged) == 1
    assert re.fullmatch(r"\d+\.\d{6} \d+ fault fired: migrator\.mid kill", logged[0])


def test_a_raising_point_raises(tmp_path: Path):
    ended = armed(tmp_path, "migrator.mid=raise", DAEF_TEST_KINDS="1")
    assert "FaultRaised: migrator.mid" in ended.stderr


def test_a_delaying_point_fires_once_and_lets_the_process_go_on(tmp_path: Path):
    ended = armed(tmp_path, "migrator.mid=delay:10", DAEF_TEST_KINDS="1")
    assert ended.stdout == "alive\n"
    assert len((tmp_path / "faults.log").read_text(encoding="utf-8").splitlines()) == 1


def test_a_fabric_that_is_not_under_test_refuses_faults(tmp_path: Path):
    ended = armed(tmp_path, "migrator.mid=kill", DAEF_TEST_KINDS="0", DAEF_DEBUG="0")
    assert ended.returncode == 1
    assert "set DAEF_TEST_KINDS=1" in ended.stderr


@pytest.mark.parametrize("command", [["manage.py", "help"], ["-m", "workeragent"]])
def test_every_process_refuses_faults_at_its_start(command: list[str], tmp_path: Path):
    environment = {**os.environ, "DAEF_FAULTS": "migrator.mid=kill", "DAEF_DATA_DIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, *command],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode in (1, 2)
    assert ended.stderr.startswith("daef")
    assert "DAEF_FAULTS" in ended.stderr
    assert "set DAEF_TEST_KINDS=1" in ended.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nowhere=kill", "'nowhere' is no fault point"),
        ("migrator.mid=explode", "write kill, stop, raise or delay"),
        ("migrator.mid=delay", "write kill, stop, raise or delay"),
        ("migrator.mid=kill:5", "write kill, stop, raise or delay"),
        ("migrator.mid=delay:soon", "write a whole number"),
        ("migrator.mid=kill@0", "write a whole number"),
        ("migrator.mid=kill,migrator.mid=stop", "stands there twice"),
    ],
)
def test_a_wrong_value_is_refused_with_what_to_write(text: str, said: str):
    with pytest.raises(faultpoints.BadFaults, match=re.escape(said)):
        faultpoints.parse_faults(text)


def test_faults_are_written_as_they_are_read():
    text = "claim.before_commit=delay:250@3,worker.during_exec=stop@1"
    assert ",".join(map(str, faultpoints.parse_faults(text).values())) == text


def test_every_point_is_passed_at_exactly_one_place_of_the_product():
    passed = Counter(
        name
        for path in product_files()
        for name in re.findall(r'\breach\("([\w.]+)"\)', path.read_text(encoding="utf-8"))
    )
    assert passed == dict.fromkeys(faultpoints.POINTS, 1)


def test_the_nemesis_arms_every_point():
    armed_by_roles = {point for points in ROLES.values() for point in points}
    assert armed_by_roles | {"migrator.mid"} == set(faultpoints.POINTS)


def test_every_point_is_in_the_fault_points_page():
    page = (ROOT / "docs" / "reference" / "fault-points.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE))
    assert listed == set(faultpoints.POINTS)


def test_every_kind_of_fault_from_outside_is_in_the_nemesis_page():
    page = (ROOT / "docs" / "architecture" / "nemesis.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row)} == set(KINDS)
