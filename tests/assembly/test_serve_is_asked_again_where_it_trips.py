"""Serve's account of itself fails for a moment while it is half done with an application."""

from __future__ import annotations

from typing import Any

import pytest
from ray.exceptions import RayTaskError

from penstock.assembly import cluster


class _Controller:
    """Answers once it was asked often enough."""

    def __init__(self, failures: int) -> None:
        self.asked = 0
        self._failures = failures

    def get_serve_details(self) -> dict[str, Any]:
        self.asked += 1
        if self.asked <= self._failures:
            raise RayTaskError("details", "'NoneType' object has no attribute 'deployment_config'", AttributeError())
        return {"applications": {}}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_PAUSE", 0.0)


def test_a_failure_that_passes_is_none() -> None:
    controller: Any = _Controller(failures=2)
    assert cluster._details(controller) == {"applications": {}}
    assert controller.asked == 3


def test_a_failure_that_stays_is_told() -> None:
    controller: Any = _Controller(failures=100)
    with pytest.raises(RayTaskError, match="deployment_config"):
        cluster._details(controller)
    assert controller.asked == cluster.LOOKS
