"""Each row of the matrix against a gateway with a simulator behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.client_rows import ROOT, ROWS, opened
from support.doors import Door, until_idle
from support.python_clients import MOST, Row

pytestmark = pytest.mark.integration


@pytest.fixture(params=ROWS, scope="module")
def row(request: pytest.FixtureRequest, gateway: Door, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Row]:
    with opened(request.param, gateway.url, tmp_path_factory.mktemp("client")) as row:
        yield row


def test_it_chats(row: Row) -> None:
    assert len(row.chat().split()) == MOST, "a token of the simulator is a word"


def test_it_streams_what_it_chats(row: Row) -> None:
    pieces = row.stream()
    assert "".join(pieces).strip() == row.chat().strip()
    assert len(pieces) > 2


def test_it_understands_an_error(row: Row) -> None:
    assert "Did you mean 'demo'?" in row.error()


def test_hanging_up_frees_the_engine(row: Row, gateway: Door) -> None:
    assert row.cancel()
    until_idle(gateway.engine)


def test_every_client_that_is_tested_is_named() -> None:
    table = (ROOT / "README.md").read_text().split("## Your client works")[1].split("\n## ")[0].lower()
    names = {"azure": "azureopenai", "vercel": "vercel ai sdk"}
    clients = {row.partition("-")[0] for row in ROWS}
    assert {client for client in clients if names.get(client, client) not in table} == set()
