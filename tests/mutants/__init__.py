"""Mutants: each patch in ``patches`` switches one safeguard off, and its tests have to notice.

``python -m tests.mutants`` runs all of them, ``python -m tests.mutants <name>…`` some. The lines
of a patch before its first ``---`` are its header::

    Off: what no longer happens
    Red: tests/integration/test_settle.py::test_a_settlement_of_another_worker_is_fenced

Each ``Red`` names a test that passes without the patch and fails with it.
"""
