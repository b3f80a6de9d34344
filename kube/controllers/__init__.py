"""One controller per sort of resource: reads it, does the next step, writes its status."""
