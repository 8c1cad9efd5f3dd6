"""Whether an administrator wants a model put to sleep now. Used by `adapter`, one a model, in Serve's controller.

A wish holds for a short while: it is fulfilled as soon as nobody uses the model, and forgotten where somebody goes on.
What was wished before this one began to look is no wish: it may be from yesterday.
"""

from __future__ import annotations

import concurrent.futures

from penstock.board.wishes import Wishes
from penstock.scaling.explanation import Seen

PATIENCE = 30.0
"""Seconds that a wish holds."""
TOLD = "An administrator had it unloaded, and nobody used it."


class RestWish:
    """Reads from a thread of its own, so that a slow store holds nobody up.

    Args:
        model: its name.
        wishes: where they are pinned.
    """

    def __init__(self, model: str, wishes: Wishes) -> None:
        self._model = model
        self._wishes = wishes
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="scaling-wishes")
        self._pending: concurrent.futures.Future[str] | None = None
        self._known: str | None = None
        self._since: float | None = None

    def granted(self, seen: Seen, now: float) -> bool:
        """Whether the model is to stop its replicas now. Called at each decision.

        Args:
            now: monotonic seconds.
        """
        self._look(now)
        if self._since is None:
            return False
        if seen.asked == 0 or now - self._since > PATIENCE:
            self._since = None
            return False
        return seen.load == 0 and seen.missing == 0

    def _look(self, now: float) -> None:
        if self._pending is not None:
            if not self._pending.done():
                return
            # Where the store is away, nothing was wished.
            if self._pending.exception() is None:
                self._note(self._pending.result(), now)
        self._pending = self._thread.submit(self._wishes.rest, self._model)

    def _note(self, mark: str, now: float) -> None:
        if self._known is not None and mark != self._known:
            self._since = now
        self._known = mark
