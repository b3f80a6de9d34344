"""The composition root: settings, addresses, stores and the processes of a local fabric."""

VERSION = "0.1.0"
