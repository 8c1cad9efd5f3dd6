"""The browser, and the engine behind the gateways that it looks at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.browsers import browser, page
from support.engines import SimulatorServer

__all__ = ["browser", "page"]


@pytest.fixture(scope="session")
def simulator_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorServer]:
    """Answers quickly, and long answers slowly enough to be stopped."""
    log = tmp_path_factory.mktemp("simulator") / "simulator.log"
    options = {"tokens_per_second": 50, "output_tokens": 20, "max_model_len": 100_000}
    with SimulatorServer(options, log=log, arguments=["--served-model-name", "demo", "other"]) as server:
        yield server
