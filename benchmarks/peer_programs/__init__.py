"""The peers' workers and producers; they run in ``.venv-bench`` and import nothing of DAEF."""
