"""A real Redis for the tests of limits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.redis import RedisServer, empty, running_redis


@pytest.fixture(scope="session", autouse=True)
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer | None]:
    """One for all tests that want one. Autouse, so that it is there before a test looks for processes that it left."""
    if not any("redis_of_its_own" in getattr(item, "fixturenames", ()) for item in request.session.items):
        yield None
        return
    with running_redis() as server:
        yield server


@pytest.fixture
def redis_of_its_own(redis_server: RedisServer | None) -> RedisServer:
    """It, empty."""
    assert redis_server is not None
    empty(redis_server)
    return redis_server
