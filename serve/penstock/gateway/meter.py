"""Counts the tokens of one answer while its bytes pass, and takes out what the client did not ask for. Pure; used by
`attempt` where requests are counted.

An engine tells the tokens of a stream in an event of its own, at the end, and only where it is asked to. So we ask
(`bodies.counted`), and where the client did not, that event is taken out again. It is found by bytes that no other
event holds; no event is parsed.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from penstock.gateway.usage import TAIL, Usage, find_usage

LAST_CHUNKS: Final = 4
"""Chunks that are remembered to find the usage in: the last ones of a stream are its usage and its end mark."""

REMEMBERED: Final = 2**20
"""Bytes at the end of a whole answer that are remembered, about: some of it may stand behind its usage."""

LARGEST_EVENT: Final = 2**20
"""Bytes of an event that are waited for at most; one that is larger passes as it comes."""

_NO_CHOICES: Final = (b'"choices":[]', b'"choices": []')
"""Inside a string the quotes have backslashes before them."""
_USAGE: Final = b'"usage"'
_EVENT_END: Final = b"\n\n"
_DATA: Final = b"data: "


class Meter:
    """Of one answer.

    Args:
        last: where the last chunks are remembered; the caller may read it.
        streams: whether it is a stream of events.
        strips: whether the stream's usage is taken out.
    """

    __slots__ = ("_held", "_last", "_size", "_streams", "_strips")

    def __init__(self, last: deque[bytes], *, streams: bool, strips: bool) -> None:
        self._last = last
        self._streams = streams
        self._strips = strips
        self._held = b""
        self._size = 0

    def feed(self, chunk: bytes) -> bytes:
        """What the client gets of a chunk, perhaps nothing."""
        # Every token of every stream passes here: one search of the chunk is all that most of them cost.
        self._last.append(chunk)
        self._size += len(chunk)
        if self._strips:
            if _USAGE in chunk or self._held or not chunk.endswith(_EVENT_END):
                return self._stripped(chunk)
        elif not self._streams:
            self._trim()
        return chunk

    def _trim(self) -> None:
        while self._size > REMEMBERED and len(self._last) > 1:
            self._size -= len(self._last.popleft())

    def rest(self) -> bytes:
        """What was held back, for the end of the answer."""
        held, self._held = self._held, b""
        return held

    def usage(self, *, aborted: bool = False) -> Usage | None:
        """What the engine counted; None where it did not say.

        Args:
            aborted: whether the engine was told to stop. One that had made no token yet has counted no prompt either.
        """
        usage = find_usage(b"".join(self._last)[-TAIL:]) or find_usage(b"".join(self._last))
        if usage is not None and aborted and not usage.completion:
            return Usage()
        return usage

    def guess(self, request_bytes: int) -> Usage | None:
        """What a stream may have used, where the engine went away: an event a token, as long as the last ones, and four
        bytes of the request a token of the prompt. None where nothing came."""
        remembered = b"".join(self._last)
        events = remembered.count(_DATA)
        if not self._streams or not events:
            return None
        tokens = round(self._size * events / len(remembered))
        return Usage(max(1, request_bytes // 4), max(1, tokens), exact=False)

    def _stripped(self, chunk: bytes) -> bytes:
        data = self._held + chunk
        end = data.rfind(_EVENT_END) + len(_EVENT_END)
        if end < len(_EVENT_END):
            end = 0
        whole, self._held = data[:end], data[end:]
        if len(self._held) > LARGEST_EVENT:
            whole, self._held = data, b""
        if not _may_be_usage(whole):
            return whole
        events = whole.split(_EVENT_END)
        return _EVENT_END.join(event for event in events if not _may_be_usage(event))


def _may_be_usage(data: bytes) -> bool:
    return (_NO_CHOICES[0] in data or _NO_CHOICES[1] in data) and _USAGE in data
