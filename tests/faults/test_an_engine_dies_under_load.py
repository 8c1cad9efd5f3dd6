"""SIGKILL to an engine, and to a replica, under 16 streams: with the simulator, and with real vLLM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.deaths import die_and_recover
from support.started import CPU_ENV, CPU_OPTIONS, Penstock

pytestmark = pytest.mark.timeout(1500)

SIMULATOR = {
    "engine": "simulator",
    "replicas": 2,
    "options": {"tokens_per_second": 20, "time_to_first_token": "20ms", "output_tokens": 200},
}


@pytest.fixture(
    scope="module",
    params=[pytest.param("simulator", marks=pytest.mark.ray), pytest.param("vllm", marks=pytest.mark.engine)],
)
def running_penstock(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Penstock]:
    if request.param == "vllm":
        demo = request.getfixturevalue("demo_model")
        model: dict[str, Any] = {"source": str(demo), "replicas": 2, "options": CPU_OPTIONS, "env": CPU_ENV}
    else:
        model = SIMULATOR
    with Penstock(tmp_path_factory.mktemp("penstock"), {"models": {"m": model}}) as running:
        yield running


@pytest.mark.parametrize("whose", ["engine", "replica"])
async def test_the_others_go_on_and_a_replacement_serves(running_penstock: Penstock, whose: str) -> None:
    await die_and_recover(running_penstock, whose)
