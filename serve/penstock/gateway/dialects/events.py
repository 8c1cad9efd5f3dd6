"""Takes a stream of server-sent events apart, however its bytes are cut. Pure; used by the dialects."""

from __future__ import annotations

from typing import Final

DONE: Final = b"[DONE]"


class Events:
    """Of one stream."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that are whole now. Comments, names and numbers of events are left out."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        whole = []
        for line in lines:
            text = line.removesuffix(b"\r")
            if text.startswith(b"data:"):
                self._data.append(text[5:].removeprefix(b" "))
            elif not text and self._data:
                whole.append(b"\n".join(self._data))
                self._data.clear()
        return whole
