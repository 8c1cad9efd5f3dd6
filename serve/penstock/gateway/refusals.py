"""What those are told who wait for a replica of a model, and may not any longer. Used by `pool`."""

from __future__ import annotations

from collections.abc import Callable

from penstock.gateway.errors import BusyError, UnavailableError
from penstock.gateway.starts import Outlook

FULL_RETRY, EMPTY_RETRY = 5.0, 10.0
"""Seconds after which another try makes sense, where it is not known how long a start takes."""


class PoolRefusals:
    """Implements `waiting.Refusals`.

    Args:
        model: its name.
        seconds: how long a request is held at most.
        account: what is known of why there is no replica, in whole sentences; empty where nothing is.
        outlook: when there may be one, while there is none.
    """

    def __init__(self, model: str, seconds: float, account: Callable[[], str], outlook: Callable[[], Outlook]) -> None:
        self._model = model
        self._seconds = seconds
        self._account = account
        self._outlook = outlook

    def full(self, held: int) -> BusyError:
        outlook = self._outlook()
        return BusyError(
            f"No replica of {self._model!r} is free and {held} requests wait for one already, which is as many as"
            f" gateway.hold.requests allows.{_joined(self._account(), outlook.account)} Try again later.",
            layer="pool",
            retry_after=outlook.retry_after or FULL_RETRY,
        )

    def too_long(self) -> UnavailableError:
        outlook, account = self._outlook(), self._account()
        status = "" if account else "; `penstock status` says what its replicas are doing"
        return UnavailableError(
            f"No replica of {self._model!r} became free within {self._seconds:g} s (gateway.hold.seconds)."
            f"{_joined(account, outlook.account)} Try again later{status}.",
            layer="pool",
            retry_after=outlook.retry_after or EMPTY_RETRY,
        )

    def going_away(self) -> UnavailableError:
        """The model is removed, or the gateway stops."""
        return UnavailableError(
            f"{self._model!r} is being removed here, or this gateway is stopping. Try again.",
            code="shutting_down",
            layer="pool",
            retry_after=1.0,
        )


def _joined(*sentences: str) -> str:
    return "".join(f" {sentence}" for sentence in sentences if sentence)
