"""Structured logs: a line of JSON per record in containers, readable lines on a terminal.

Called once per process by whoever owns the process (a replica, the command line). Fields are given as
`logger.info("relayed", extra={"fields": {"model": ..., "request_id": ...}})`; keys and prompts are never given.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import orjson

ROOT = "penstock"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class TextFormatter(logging.Formatter):
    """`12:30:01 info  penstock.gateway relayed model=demo request_id=…`."""

    def format(self, record: logging.LogRecord) -> str:
        clock = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        fields = "".join(f" {key}={value}" for key, value in getattr(record, "fields", {}).items())
        line = f"{clock} {record.levelname.lower():<7} {record.name} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up(
    *, level: str = "info", style: Literal["auto", "json", "text"] = "auto", stream: TextIO | None = None
) -> None:
    """Send the package's log records to `stream` (stderr by default) and nowhere else."""
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    as_text = style == "text" or (style == "auto" and target.isatty())
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    logger = logging.getLogger(ROOT)
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
