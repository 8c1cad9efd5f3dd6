"""The board: where replicas pin their reports and others read them.

A protocol with two implementations: in memory for tests, and in Ray's own key-value store (`kv`).
"""

from __future__ import annotations

from typing import Protocol

from penstock.board.report import ReplicaReport


class Board(Protocol):
    """Reports by replica. Calls block for a round trip at most; call them off the event loop."""

    def pin(self, report: ReplicaReport) -> None:
        """Replace what the replica said before."""

    def remove(self, replica: str) -> None:
        """Forget a replica; no error where it is not known."""

    def reports(self) -> list[ReplicaReport]:
        """All reports, in no order. May hold reports of replicas that are long dead: compare with Serve's list."""


class MemoryBoard:
    """A board of one process."""

    def __init__(self) -> None:
        self._reports: dict[str, ReplicaReport] = {}

    def pin(self, report: ReplicaReport) -> None:
        self._reports[report.replica] = report

    def remove(self, replica: str) -> None:
        self._reports.pop(replica, None)

    def reports(self) -> list[ReplicaReport]:
        return list(self._reports.values())
