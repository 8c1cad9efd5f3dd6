"""Limits as a gateway has them, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from penstock.accounts.limits.opening import OpenLimits
from penstock.config.limits import LimitSettings
from support.redis import url_of
from support.servers import Server

VARIABLE = "TEST_REDIS"


@asynccontextmanager
async def open_limits(settings: Mapping[str, Any]) -> AsyncIterator[OpenLimits]:
    """`settings` as in documents."""
    limits = OpenLimits(LimitSettings.model_validate(settings))
    await limits.start()
    try:
        yield limits
    finally:
        await limits.close()


def in_redis(monkeypatch: pytest.MonkeyPatch, server: Server, **settings: Any) -> dict[str, Any]:
    """Settings whose counters are there."""
    monkeypatch.setenv(VARIABLE, url_of(server))
    return {**settings, "redis": {"env": VARIABLE}}
