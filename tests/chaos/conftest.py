"""How long the chaos lasts."""

from __future__ import annotations

import pytest

MINUTES, SEED = 1.5, 1


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("penstock chaos")
    group.addoption("--chaos-minutes", type=float, default=MINUTES, help="how long requests run while engines die")
    group.addoption("--chaos-seed", type=int, default=SEED, help="decides who asks what, and who is killed when")


@pytest.fixture
def seconds(request: pytest.FixtureRequest) -> float:
    return float(request.config.getoption("--chaos-minutes", MINUTES)) * 60


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--chaos-seed", SEED))
