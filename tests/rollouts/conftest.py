"""One Penstock with two gateways and three simulators for all tests here, each of which leaves it in another state."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penstock import environment
from support.rollouts import Rollouts
from support.started import Penstock

PACE = {"time_to_first_token": "20ms", "tokens_per_second": 40, "output_tokens": 40, "startup": "1s"}


class InAPod(Penstock):
    """Its gateways look for the sign by which a pod tells that it stops."""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, environment.LEAVING_FILE: str(self.folder / "leaving")}


@pytest.fixture(scope="module")
def running_penstock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Penstock]:
    model = {"engine": "simulator", "replicas": 3, "options": PACE}
    document = {"models": {"m": model}, "gateway": {"replicas": 2}}
    with InAPod(tmp_path_factory.mktemp("penstock"), document) as running:
        yield running


@pytest.fixture(scope="module")
def rollouts(running_penstock: Penstock) -> Rollouts:
    return Rollouts(running_penstock)
