"""The nemesis: real processes under seeded faults, and a checker of what became of the work."""
