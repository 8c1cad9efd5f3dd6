"""`penstock keys --url`: the same as with the store itself, through a gateway, with an admin's key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from penstock.accounts import secret
from penstock.accounts.remote import RemoteKeys
from penstock.cli.main import main
from penstock.errors import MachineError
from support.gateways import Gateway, ask, chat, post, running_gateway
from support.keys import listed, opened

pytestmark = pytest.mark.integration

BOSS = secret.new_key()
USER = secret.new_key()


class Shell:
    """`penstock keys` beside the gateway that it asks."""

    def __init__(self, gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
        self.gateway = gateway
        self.url = f"http://127.0.0.1:{gateway.port}"
        self._capsys = capsys
        self.errors = ""

    async def __call__(self, *arguments: str, status: int = 0, key: str = "BOSS") -> str:
        where = ["--url", self.url, "--admin-key-env", key]
        assert await asyncio.to_thread(main, ["keys", *arguments, *where]) == status
        said = self._capsys.readouterr()
        self.errors = said.err
        return said.out

    async def json(self, *arguments: str) -> Any:
        return json.loads(await self(*arguments, "--json"))


@pytest.fixture
async def shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Shell]:
    for name, key in (("BOSS", BOSS), ("USER", USER), ("COLUMNS", "200"), ("no_proxy", "*")):
        monkeypatch.setenv(name, key)
    settings = {"database": {"sqlite": str(tmp_path / "accounts.db")}, "recheck": 0.05}
    keys = {"boss": listed(BOSS, roles=["admin"]), "user": listed(USER)}
    async with opened(settings, keys) as accounts, running_gateway(accounts=accounts) as gateway:
        yield Shell(gateway, capsys)


async def _works(shell: Shell, key: str) -> int:
    return (await ask(shell.gateway, post(chat(), headers=[("authorization", f"Bearer {key}")]))).status


async def test_the_life_of_a_key(shell: Shell):
    key = (await shell("create", "Ä/lice x", "--owner", "research", "--limit", "requestsPerMinute=60")).strip()
    assert secret.is_whole(key.encode())
    assert await _works(shell, key) == 200
    names = {record["name"]: record for record in await shell.json("list")}
    assert names.keys() == {"Ä/lice x", "boss", "user"}
    assert names["Ä/lice x"]["limits"]["requestsPerMinute"] == 60
    other = (await shell("rotate", "Ä/lice x", "--overlap", "0")).strip()
    assert await _works(shell, other) == 200
    assert "limited" in await shell("limit", "Ä/lice x")
    assert "disabled" in await shell("disable", names["Ä/lice x"]["id"])
    async with asyncio.timeout(60):
        while await _works(shell, other) != 401:  # noqa: ASYNC110  # a gateway tells nobody when its memory ends
            await asyncio.sleep(0.02)
    assert "enabled" in await shell("enable", "Ä/lice x")
    shown = await shell("show", "Ä/lice x")
    assert all(word in shown for word in ("create", "rotate", "limit", "disable", "enable", "key:document:boss"))
    assert "deleted" in await shell("delete", "Ä/lice x")
    assert [change["action"] for change in await shell.json("log", "--limit", "2")] == ["delete", "enable"]


@pytest.mark.parametrize(
    ("arguments", "key", "status", "said"),
    [
        (["show", "nobody"], "BOSS", 2, "There is no key 'nobody'"),
        (["show", "../keys"], "BOSS", 2, "There is no key '../keys'"),
        (["disable", "document:user"], "BOSS", 2, "is listed, not stored"),
        (["list"], "USER", 2, "has not the role admin"),
        (["list"], "COLUMNS", 2, "The key is not valid"),
        (["list"], "NOT_SET", 2, "NOT_SET is empty or not set"),
        (["list", "--sqlite", "/x"], "BOSS", 2, "--sqlite and --url name two stores"),
    ],
)
async def test_a_mistake_ends_with_a_sentence(shell: Shell, arguments: list[str], key: str, status: int, said: str):
    await shell(*arguments, status=status, key=key)
    assert said in shell.errors
    assert BOSS not in shell.errors
    assert "Traceback" not in shell.errors


async def test_a_key_is_not_sent_to_whom_nobody_named(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shell, "url", "ftp://127.0.0.1")
    await shell("list", status=2)
    assert "is no endpoint" in shell.errors


async def test_without_a_gateway_there_the_error_says_so(shell: Shell, unused_tcp_port: int):
    shell.url = f"http://127.0.0.1:{unused_tcp_port}"
    await shell("list", status=3)
    assert f"{shell.url} does not answer" in shell.errors


@pytest.mark.parametrize("answer", [b"<html>", b'{"keys": 1}', b'{"keys": [{}]}', b"[]"])
async def test_an_answer_that_is_no_gateways_is_told_from_one(answer: bytes):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (len(answer), answer))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        keys = RemoteKeys(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", BOSS)
        with pytest.raises(MachineError) as caught:
            await keys.all_keys()
        assert BOSS not in str(caught.value)


def test_an_admins_key_is_for_a_gateway(capsys: pytest.CaptureFixture[str]):
    assert main(["keys", "list", "--admin-key-env", "X"]) == 2
    assert "--admin-key-env is for asking a gateway" in capsys.readouterr().err
    assert main(["keys", "list", "--url", "http://127.0.0.1:1"]) == 2
    assert "A gateway asks for an admin's key" in capsys.readouterr().err
