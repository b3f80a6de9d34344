"""``python -m benchmarks.peer_programs PEER worker|producer|schema …``.

The peer's module is imported by its own name: tasks are registered under it.
"""

from __future__ import annotations

import importlib
import sys

if __name__ == "__main__":
    importlib.import_module(f"benchmarks.peer_programs.{sys.argv[1]}_program").main(sys.argv[2:])
