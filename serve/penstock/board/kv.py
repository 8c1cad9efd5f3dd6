"""The board in Ray's own key-value store, which lives where the cluster's state lives and needs no process.

Used by engine replicas, gateway replicas and the command line, all connected to Ray.
"""

from __future__ import annotations

import logging

from pydantic import ValidationError
from ray.experimental.internal_kv import (
    _internal_kv_del,
    _internal_kv_get,
    _internal_kv_list,
    _internal_kv_put,
)

from penstock.board.report import ReplicaReport

_NAMESPACE = b"penstock"
_PREFIX = "replica/"

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
        found: list[ReplicaReport] = []
        for key in _internal_kv_list(_PREFIX, namespace=_NAMESPACE):
            # Gone between the two calls is no news.
            if (value := _internal_kv_get(key, namespace=_NAMESPACE)) is None:
                continue
            try:
                found.append(ReplicaReport.model_validate_json(value))
            except ValidationError:
                logger.warning("ignored a report that cannot be read", extra={"fields": {"key": str(key)}})
        return found
