"""SIGKILL to an engine, and to a replica, under 16 streams. Real vLLM's deaths are in tests/elastic."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.deaths import die_and_recover
from support.started import Penstock

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

SIMULATOR = {
    "engine": "simulator",
    "replicas": 2,
    "options": {"tokens_per_second": 20, "time_to_first_token": "20ms", "output_tokens": 200},
}


@pytest.fixture(scope="module")
def running_penstock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Penstock]:
    with Penstock(tmp_path_factory.mktemp("penstock"), {"models": {"m": SIMULATOR}}) as running:
        yield running


@pytest.mark.parametrize("whose", ["engine", "replica"])
async def test_the_others_go_on_and_a_replacement_serves(running_penstock: Penstock, whose: str) -> None:
    await die_and_recover(running_penstock, whose)
