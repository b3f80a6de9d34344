"""Named places in the product where a test can make a process die, stop, fail or wait.

A fabric that is not under test pays one dictionary lookup at each. Imports nothing of ours.
"""

from faultpoints.firing import FaultRaised, arm, reach
from faultpoints.plan import POINTS, BadFaults, Fault, parse_faults

__all__ = ["POINTS", "BadFaults", "Fault", "FaultRaised", "arm", "parse_faults", "reach"]
