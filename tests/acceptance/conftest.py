import logging

# A line per request would bury what a failed test has to say.
logging.getLogger("httpx").setLevel(logging.WARNING)
