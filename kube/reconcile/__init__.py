"""What follows from a resource and what was observed: pure functions of plain values.

They take the time and return steps, statuses and objects; ``kube.controllers`` does what they say.
"""
