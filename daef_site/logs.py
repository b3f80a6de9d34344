"""Log lines as text or as JSON, one a record: nothing that a caller sends can make up a line."""

import json
import logging
import re
from datetime import UTC, datetime

# What ends a line or steers a terminal, the line feed aside.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]|[\ud800-\udfff]")


class TextFormatter(logging.Formatter):
    """Time, level, logger and message in a line; a trace's lines follow it, indented."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The record's own line, with what would break out of it spelt out."""
        return _spelt_out(super().formatMessage(record)).replace("\n", "\\n")

    def formatException(self, ei: "logging._SysExcInfoType") -> str:  # noqa: N802
        """The trace; its first column stays empty, so that no line of it looks like a record."""
        lines = _spelt_out(super().formatException(ei)).split("\n")
        return "\n".join(f"    {line}" for line in lines)


class JsonFormatter(logging.Formatter):
    """One JSON object per record: time (RFC 3339), level, logger, message, request_id, error."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := getattr(record, "request_id", None):
            line["request_id"] = request_id
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return _spelt_out(json.dumps(line, ensure_ascii=False, default=str))


class WithoutTrace(logging.Filter):
    """Leaves the trace away: a refused request is one line, however many strangers send."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, without its trace."""
        record.exc_info = None
        return True


def _spelt_out(text: str) -> str:
    return CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
