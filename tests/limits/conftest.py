"""A real Redis for the tests of limits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.redis import running_redis
from support.servers import Server


@pytest.fixture
def redis_of_its_own() -> Iterator[Server]:
    """One for this test, which may kill it."""
    with running_redis() as server:
        yield server
