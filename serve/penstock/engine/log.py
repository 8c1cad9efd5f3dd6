"""The engine's own log: all of it in a file, its end in memory. Filled by the process's reader, read by the replica."""

from __future__ import annotations

import collections
import threading
from pathlib import Path
from typing import BinaryIO

_LONGEST_LINE = 4096


class EngineLog:
    """Safe to fill from one thread and to read from others."""

    def __init__(self, path: Path | None = None, *, keep: int = 200, limit: int = 32 * 2**20) -> None:
        """
        Args:
            path: file that gets every line; None for none.
            keep: lines kept in memory.
            limit: bytes after which the file moves to `<path>.1` and begins anew.
        """
        self.path = path
        self._limit = limit
        self._tail: collections.deque[str] = collections.deque(maxlen=keep)
        self._lock = threading.Lock()
        self._size = 0
        self._file: BinaryIO | None = None
        self.written = 0
        """Bytes so far; grows with every line, so it shows that the engine does something."""

    def add(self, line: bytes) -> str:
        """Take a line; gives it back as text, cut to a bearable length."""
        text = line.decode("utf-8", "replace").rstrip("\r\n")[:_LONGEST_LINE]
        with self._lock:
            self._tail.append(text)
            self.written += len(line)
            self._write(line)
        return text

    def tail(self, lines: int | None = None) -> list[str]:
        """The last lines, oldest first."""
        with self._lock:
            kept = list(self._tail)
        return kept if lines is None else kept[-lines:]

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _write(self, line: bytes) -> None:
        if self.path is None:
            return
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("ab", buffering=0)
                self._size = self.path.stat().st_size
            self._file.write(line if line.endswith(b"\n") else line + b"\n")
            self._size += len(line)
            if self._size > self._limit:
                self._file.close()
                self._file = None
                self.path.replace(self.path.with_name(self.path.name + ".1"))
        except OSError:
            # A full disk must not stop the engine; its end is still in memory.
            self.path = None
