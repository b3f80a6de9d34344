"""Kinds that fail on purpose, for tests; an agent has them only with DAEF_TEST_KINDS=1."""
