"""What came of a request's tries on replicas, and whether it may have another. Pure; used by `relay`.

A replica that refuses the connection has not seen the request. One that dies with it may have died of it: a request
that breaks every engine it is sent to must not be sent to all of them, one after the other.
"""

from __future__ import annotations

from penstock.gateway.engine_connection import Reason
from penstock.gateway.errors import EngineCrashedError, EngineFailedError, GatewayError

MOST_CRASHES = 2
"""Engines that may die with one request in their hands. One dies of many things; two in a row are the request's doing,
or the whole model's."""


class Tries:
    """Of one request.

    Args:
        model: its model's name.
        most: replicas that it is tried on at most.
    """

    def __init__(self, model: str, most: int) -> None:
        self._model = model
        self._most = most
        self._reasons: list[Reason] = []
        self.crashed: list[str] = []
        """Replicas that died after the request was sent to them and before their answer began."""

    def note(self, replica: str, reason: Reason) -> None:
        """A replica did not answer."""
        self._reasons.append(reason)
        if reason == "died":
            self.crashed.append(replica)

    def refusal(self) -> GatewayError | None:
        """What to say where there is no further try; None where there is."""
        if len(self.crashed) >= MOST_CRASHES:
            return EngineCrashedError(
                f"{len(self.crashed)} engines of {self._model!r} died while they worked on this request, so it is tried"
                " on no other: the request itself may crash engines. The gateway's log has it under its request id;"
                " `penstock status` says how the replicas are. Send it again only after a look at both."
            )
        if len(self._reasons) >= self._most:
            return EngineFailedError(
                f"{len(self._reasons)} replicas of {self._model!r} did not answer ({', '.join(self._reasons)}), which"
                " is as many as gateway.attempts allows. Send the request again; `penstock status` says how the"
                " replicas are.",
                code="engine_unreachable",
            )
        return None
