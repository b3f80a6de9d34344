"""The registry of executors: one line per task kind, imported only in the runner."""

import functools
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from workeragent.executors.context import TaskContext
from workeragent.outcome import PermanentError, Result, TransientError

Executor = Callable[[TaskContext], Result]


@dataclass(frozen=True)
class Entry:
    """Where a kind's ``run`` is, and which packages it cannot work without."""

    module: str
    packages: tuple[str, ...] = ()
    test_only: bool = False


KINDS: dict[str, Entry] = {
    "echo": Entry("workeragent.executors.echo"),
    "chat": Entry("workeragent.executors.chat", ("numpy", "httpx")),
    "embed": Entry("workeragent.executors.embed", ("numpy", "httpx")),
    "cluster": Entry("workeragent.executors.cluster", ("numpy", "sklearn")),
    "label": Entry("workeragent.executors.label", ("numpy", "sklearn", "httpx")),
    "reduce": Entry("workeragent.executors.reduce", ("numpy", "httpx")),
    "report": Entry("workeragent.executors.report", ("numpy", "sklearn")),
    "fail": Entry("workeragent.executors.testing.fail", test_only=True),
    "fail_attempts": Entry("workeragent.executors.testing.fail_attempts", test_only=True),
    "exit": Entry("workeragent.executors.testing.exit", test_only=True),
    "segfault": Entry("workeragent.executors.testing.segfault", test_only=True),
    "spin": Entry("workeragent.executors.testing.spin", test_only=True),
    "out_of_memory": Entry("workeragent.executors.testing.out_of_memory", test_only=True),
    "huge_result": Entry("workeragent.executors.testing.huge_result", test_only=True),
    "loud": Entry("workeragent.executors.testing.loud", test_only=True),
    "witness": Entry("workeragent.executors.testing.witness", test_only=True),
}


def available_kinds(*, test_kinds: bool) -> list[str]:
    """The kinds this installation can run, found without importing any of them."""
    return [
        kind
        for kind, entry in KINDS.items()
        if (test_kinds or not entry.test_only) and _installed(entry)
    ]


def load(kind: str) -> Executor:
    """The executor of a kind.

    Raises PermanentError when this agent has none, TransientError when it could not be loaded now:
    a library that the node has no memory to map fails as an import, too.
    """
    entry = KINDS.get(kind)
    if entry is None:
        raise PermanentError("kind_unknown", "This agent has no executor for the task's kind.")
    try:
        return _run_of(entry.module)
    except ModuleNotFoundError as error:
        raise PermanentError(
            "kind_unavailable", f"The executor needs a package that is missing: {error.name}."
        ) from error
    except ImportError as error:
        raise TransientError(
            "executor_not_loaded", f"The executor could not be loaded: {error.name}."
        ) from error


@functools.cache
def _run_of(module: str) -> Executor:
    return cast(Executor, importlib.import_module(module).run)


def _installed(entry: Entry) -> bool:
    specs = map(importlib.util.find_spec, (entry.module, *entry.packages))
    return all(spec is not None and spec.origin for spec in specs)
