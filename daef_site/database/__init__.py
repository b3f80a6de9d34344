"""The database backend: PostgreSQL with metrics and an error that helps where none is there."""
