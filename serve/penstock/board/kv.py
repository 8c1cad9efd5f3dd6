"""The board in Ray's own key-value store, which lives where the cluster's state lives and needs no process.

Used by engine replicas, gateway replicas, Serve's controller and the command line, all connected to Ray.
"""

from __future__ import annotations

import logging
import secrets
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from ray.experimental.internal_kv import (
    _internal_kv_del,
    _internal_kv_get,
    _internal_kv_list,
    _internal_kv_put,
)

from penstock.board.decisions import ScalingDecision
from penstock.board.report import ReplicaReport

_NAMESPACE = b"penstock"
_PREFIX = "replica/"
_DECISIONS = "scaling/"
_REST = "rest/"

M = TypeVar("M", bound=BaseModel)
logger = logging.getLogger(__name__)


class KvBoard:
    """Implements `Board`."""

    def pin(self, report: ReplicaReport) -> None:
        _internal_kv_put(
            _PREFIX + report.replica, report.model_dump_json().encode(), overwrite=True, namespace=_NAMESPACE
        )

    def remove(self, replica: str) -> None:
        _internal_kv_del(_PREFIX + replica, namespace=_NAMESPACE)

    def reports(self) -> list[ReplicaReport]:
        return _all(_PREFIX, ReplicaReport)


class KvDecisions:
    """Implements `Decisions`."""

    def pin(self, decision: ScalingDecision) -> None:
        _internal_kv_put(
            _DECISIONS + decision.model, decision.model_dump_json().encode(), overwrite=True, namespace=_NAMESPACE
        )

    def decisions(self) -> list[ScalingDecision]:
        return _all(_DECISIONS, ScalingDecision)


class KvWishes:
    """Implements `Wishes`."""

    def ask_for_rest(self, model: str) -> None:
        _internal_kv_put(_REST + model, secrets.token_hex(8).encode(), overwrite=True, namespace=_NAMESPACE)

    def rest(self, model: str) -> str:
        mark: bytes | None = _internal_kv_get(_REST + model, namespace=_NAMESPACE)
        return "" if mark is None else mark.decode("ascii", "replace")


def _all(prefix: str, kind: type[M]) -> list[M]:
    found: list[M] = []
    for key in _internal_kv_list(prefix, namespace=_NAMESPACE):
        # Gone between the two calls is no news.
        if (value := _internal_kv_get(key, namespace=_NAMESPACE)) is None:
            continue
        try:
            found.append(kind.model_validate_json(value))
        except ValidationError:
            logger.warning("ignored a report that cannot be read", extra={"fields": {"key": str(key)}})
    return found
