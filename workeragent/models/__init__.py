"""Models behind one interface: embedded ones that run on this machine, and OpenAI-compatible ones.

Executors see only :class:`workeragent.models.client.ModelClient`.
"""
