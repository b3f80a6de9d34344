"""``/healthz`` and ``/readyz`` for processes that serve no other HTTP: agents, control planes.

Off unless ``DAEF_PROBE_ADDR`` is set. Answers tell whether, never what; so they need no token.
Imports nothing of ours.
"""

from probes.serving import serve
from probes.signs import Signs

__all__ = ["Signs", "serve"]
