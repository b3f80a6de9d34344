"""The read side: plain functions that return documents in the shapes the doors promise.

Each costs a constant number of statements, whatever the number of rows. Nothing here writes.
"""
