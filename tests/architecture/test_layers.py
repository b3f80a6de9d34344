"""Who may import whom: the contracts of `.importlinter` hold, and are those of the layers page."""

import configparser
import os
import subprocess
import sys
from pathlib import Path

from tests.architecture.source import ROOT

PAGE = ROOT / "docs" / "architecture" / "layers.md"


def contracts() -> configparser.ConfigParser:
    found = configparser.ConfigParser()
    found.read(ROOT / ".importlinter", encoding="utf-8")
    return found


def layers(contract: str, prefix: str = "") -> list[set[str]]:
    """The contract's layers from the top, each as the set of its modules."""
    lines = contracts()[f"importlinter:contract:{contract}"]["layers"].split("\n")
    return [
        {name.strip().removeprefix(prefix) for name in line.split(":")}
        for line in lines
        if line.strip()
    ]


def drawn(number: int) -> str:
    """One of the page's drawings, counted from 0."""
    return PAGE.read_text(encoding="utf-8").split("```")[1::2][number].removeprefix("text\n")


def test_every_import_contract_holds(tmp_path: Path):
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--config", ROOT / ".importlinter", "--cache-dir", tmp_path / "cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_packages_stand_in_the_order_that_is_drawn():
    assert layers("layers") == [{name.strip()} for name in drawn(0).split(">")]


def test_the_modules_of_jobs_stand_in_the_order_that_is_drawn():
    order = [{name.strip() for name in line.split("|")} for line in drawn(1).strip().split("\n")]
    assert layers("inside-jobs", "jobs.") == order


def test_every_package_of_ours_is_under_contract():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    not_shipped = {"tests", "benchmarks", "examples"}
    assert packages - not_shipped == set(contracts()["importlinter"]["root_packages"].split())
