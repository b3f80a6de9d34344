"""``python -m tests.mutants [name…]``: switch each safeguard off and see that it is missed."""

import sys
import tempfile
from pathlib import Path

from tests.mutants.catalogue import chosen
from tests.mutants.trial import field
from tests.servers import servers_for_tests


def main(names: list[str]) -> int:
    """Print a line for each mutant; the exit status counts those that nobody noticed."""
    mutants = chosen(names)
    with tempfile.TemporaryDirectory(prefix="daef-mutants-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with servers_for_tests(folder) as servers, field(folder, servers) as trials:
            whole = trials.run_tests(sorted({test for mutant in mutants for test in mutant.red}))
            if whole.status != 0:
                print(whole.output)
                print("The tests have to pass before any mutant is let loose.")
                return 1
            missed = 0
            for mutant in mutants:
                outcome = trials.try_mutant(mutant)
                missed += not outcome.found
                print(f"{'found ' if outcome.found else 'MISSED'}  {mutant.name}: {mutant.off}")
                if not outcome.found:
                    print(outcome.output)
                sys.stdout.flush()
    print(f"{len(mutants) - missed} of {len(mutants)} mutants were found.")
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
