"""A real Redis for the tests of limits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.redis import RedisServer, running_redis


@pytest.fixture
def redis_of_its_own() -> Iterator[RedisServer]:
    """One for this test, which may kill it."""
    with running_redis() as server:
        yield server
