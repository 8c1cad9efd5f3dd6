"""One gateway with a real simulator behind it for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.doors import Door, door, simulator_process
from support.engines import SimulatorServer


@pytest.fixture(scope="package")
def simulator_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorServer]:
    """Fast, but not so fast that an answer of 90,000 tokens, which nobody waits for, ends by itself in a minute."""
    with simulator_process(
        tmp_path_factory.mktemp("simulator"), max_model_len=100_000, tokens_per_second=1000
    ) as server:
        yield server


@pytest.fixture(scope="package")
def gateway(simulator_server: SimulatorServer) -> Iterator[Door]:
    """No keys are asked for."""
    with door(simulator_server) as found:
        yield found
