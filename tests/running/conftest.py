"""One Penstock with simulators for the tests that do not break it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.started import Penstock

FAST = {"time_to_first_token": "20ms", "tokens_per_second": 200, "output_tokens": 20}


@pytest.fixture(scope="module")
def running_penstock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Penstock]:
    document = {
        "models": {
            "sim": {"engine": "simulator", "aliases": ["default"], "options": FAST},
            "slow": {"engine": "simulator", "options": {**FAST, "tokens_per_second": 10, "output_tokens": 50}},
        }
    }
    with Penstock(tmp_path_factory.mktemp("penstock"), document) as running:
        yield running
