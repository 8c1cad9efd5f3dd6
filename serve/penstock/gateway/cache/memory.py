"""Answers in a gateway's own memory, never more bytes than its bound. Used by `caching`."""

from __future__ import annotations

import sys
from collections import OrderedDict

from penstock.gateway.cache.stored import Stored


class MemoryAnswers:
    """What was not asked for longest goes first.

    Args:
        limit: bytes, what each answer takes beside its own counted in.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._answers: OrderedDict[str, Stored] = OrderedDict()
        self.size = 0
        """Bytes of all answers."""

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: str, *, since: float) -> Stored | None:
        """An answer that was first given after `since`, in seconds since the epoch; an older one is forgotten."""
        answer = self._answers.get(key)
        if answer is None:
            return None
        if answer.made < since:
            self._forget(key)
            return None
        self._answers.move_to_end(key)
        return answer

    def put(self, key: str, answer: Stored) -> None:
        """Keep an answer, where it has room at all."""
        if key in self._answers:
            self._forget(key)
        if (size := _size(key, answer)) > self._limit:
            return
        while self.size + size > self._limit:
            self._forget(next(iter(self._answers)))
        self._answers[key] = answer
        self.size += size

    def _forget(self, key: str) -> None:
        self.size -= _size(key, self._answers.pop(key))


def _size(key: str, answer: Stored) -> int:
    return sys.getsizeof(key) + answer.size
