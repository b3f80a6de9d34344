"""Reading the patches and what they say of themselves."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PATCHES = Path(__file__).parent / "patches"


class Hunk(NamedTuple):
    """One place of a patch: the lines that are there, and what they become."""

    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """One patch: the safeguard it switches off, and the tests that have to fail with it."""

    name: str
    patch: Path
    off: str
    red: tuple[str, ...]

    def hunks(self) -> Iterator[tuple[str, Hunk]]:
        """The file and the text of each place that the patch changes, in order."""
        path, old, new = "", "", ""
        for line in [*self.patch.read_text().splitlines(keepends=True), "@@"]:
            if line.startswith(("@@", "--- ")) and (old or new):
                yield path, Hunk(old, new)
                old = new = ""
            if line.startswith("+++ b/"):
                path = line.removeprefix("+++ b/").strip()
            elif path and line.startswith((" ", "-")) and not line.startswith("--- "):
                old += line[1:]
            if path and line.startswith((" ", "+")) and not line.startswith("+++ "):
                new += line[1:]


def all_mutants() -> list[Mutant]:
    """Every mutant, by name. Raises ValueError for a patch without a whole header."""
    return [_read(path) for path in sorted(PATCHES.glob("*.patch"))]


def chosen(names: list[str]) -> list[Mutant]:
    """The mutants of these names, or all. Raises ValueError for a name that is not there."""
    mutants = all_mutants()
    unknown = set(names) - {mutant.name for mutant in mutants}
    if unknown:
        raise ValueError(f"no patch is named {', '.join(sorted(unknown))}; see {PATCHES}")
    return [mutant for mutant in mutants if not names or mutant.name in names]


def _read(path: Path) -> Mutant:
    header = path.read_text().split("\n--- ", 1)[0].splitlines()
    off = [line.removeprefix("Off: ") for line in header if line.startswith("Off: ")]
    red = tuple(line.removeprefix("Red: ") for line in header if line.startswith("Red: "))
    if len(off) != 1 or not red:
        raise ValueError(f"{path.name}: write one line Off: and at least one line Red:")
    return Mutant(path.stem, path, off[0], red)
