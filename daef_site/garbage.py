"""How often Python looks for reference cycles in the processes that serve many tasks."""

import gc

YOUNG_OBJECTS = 50_000
"""Objects allocated and not yet freed that make the collector look at the youngest. Python's 700
are passed several times by each batch of tasks, whose rows, messages and tuples hold no cycles and
all die with the batch: looking at them took a sixth of the control plane's time when measured."""


def collect_rarely() -> None:
    """Spare what is loaded by now from every later collection, and collect only now and then.

    To be called once, when the process has imported what it needs. Objects without cycles, which is
    nearly all of them, are freed at once as ever.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
