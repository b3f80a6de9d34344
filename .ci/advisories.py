"""Known weaknesses of the installed packages, as pip-audit finds them; part of ``make lint``.

Exit status 1 on a finding. Where the advisory service cannot be asked (no network, or an index that
does not serve advisories) one line says so and the status is 0: nothing was found, nothing was
looked for either. An advisory that does not concern us is listed with its reason in
``pyproject.toml`` below ``[tool.daef.advisories]``.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# One package is asked about first: 150 refusals, one after the other, would take minutes.
PROBE = "Django"


class NotAsked(Exception):
    """The service does not answer; the message says how."""


def main() -> int:
    """Ask, print what was found, and return the exit status."""
    try:
        _probe()
        found = _audited(["--skip-editable"])
    except NotAsked as error:
        print(f"pip-audit     NOT DONE: {error}")
        return 0
    accepted = _accepted()
    told = [line for package in found for line in _findings(package, accepted)]
    for line in told:
        print(f"pip-audit     {line}", file=sys.stderr)
    skipped = sum("skip_reason" in package for package in found)
    print(f"pip-audit     {len(found) - skipped} packages asked about, {skipped} not known to it")
    return 1 if told else 0


def _probe() -> None:
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(next(pin for pin in pins if pin.startswith(f"{PROBE}==")))
        file.flush()
        (package,) = _audited(["--no-deps", "--disable-pip", "--requirement", file.name])
    if "skip_reason" in package:
        raise NotAsked(f"this index serves no advisories ({package['skip_reason']})")


def _audited(options: list[str]) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "pip_audit", "--format=json", "--progress-spinner=off"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError) as error:
        said = done.stderr.strip().splitlines() or [f"pip-audit ended with {done.returncode}"]
        raise NotAsked(f"the advisory service does not answer ({said[-1][:120]})") from error
    return found


def _accepted() -> dict[str, str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    accepted: dict[str, str] = settings["tool"].get("daef", {}).get("advisories", {})
    return accepted


def _findings(package: dict[str, Any], accepted: dict[str, str]) -> list[str]:
    return [
        f"{package['name']} {package['version']}: {known['id']}, fixed in "
        f"{', '.join(known['fix_versions']) or 'no version yet'}"
        for known in package.get("vulns", [])
        if not {known["id"], *known.get("aliases", [])} & accepted.keys()
    ]


if __name__ == "__main__":
    sys.exit(main())
