"""Measurements of a whole fabric on this machine; each module is one command."""
