"""`logging`: how Penstock's own processes write their logs."""

from __future__ import annotations

from typing import Literal

from penstock.config.base import Section


class Logging(Section):
    """Logs of the gateway, the replicas and the command line."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is written."""

    format: Literal["auto", "json", "text"] = "auto"
    """`json` a line per record, `text` for people; `auto` is text on a terminal."""
