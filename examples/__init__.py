"""The demo's tickets, and how they are made."""
