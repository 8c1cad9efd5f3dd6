"""The key of the provider of all these tests."""

import pytest

from support.providers import KEY, VARIABLE


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
