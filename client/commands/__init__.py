"""The commands of ``daef``: each module adds its own to the command line."""
