"""Anonymous use beside keys, and a gateway without accounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.accounts import secret
from penstock.accounts.records import NewKey
from support.gateways import ask, chat, get, post, running_gateway
from support.keys import listed, opened

pytestmark = pytest.mark.integration

KEY = secret.new_key()


def bearer(key: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {key}")]


@pytest.mark.parametrize("headers", [[], bearer("none"), bearer("EMPTY"), bearer("sk-1234"), [("x-api-key", "x")]])
async def test_nobody_needs_a_key_where_the_document_says_so(headers: list[tuple[str, str]]):
    async with (
        opened({"anonymous": True}, {"ci": listed(KEY)}) as accounts,
        running_gateway(accounts=accounts) as gateway,
    ):
        assert (await ask(gateway, post(chat(), headers=headers))).status == 200


async def test_a_key_that_is_sent_counts_all_the_same():
    keys = {"ci": listed(KEY, models=["other"])}
    async with opened({"anonymous": True}, keys) as accounts, running_gateway(accounts=accounts) as gateway:
        assert (await ask(gateway, post(chat(), headers=bearer(KEY)))).status == 403
        wrong = await ask(gateway, post(chat(), headers=bearer(secret.new_key())))
        assert (wrong.status, wrong.error["code"]) == (401, "invalid_api_key")
        cut = await ask(gateway, post(chat(), headers=bearer(KEY[:-1])))
        assert (cut.status, cut.error["code"]) == (401, "invalid_api_key")


async def test_nobody_administers_without_a_key():
    keys = {"ci": listed(KEY), "boss": listed(boss := secret.new_key(), roles=["admin"])}
    async with opened({"anonymous": True}, keys) as accounts, running_gateway(accounts=accounts) as gateway:
        assert (await ask(gateway, get("/admin/keys"))).status == 401
        assert (await ask(gateway, get("/admin/keys", headers=bearer("none")))).status == 401
        assert (await ask(gateway, get("/admin/keys", headers=bearer(KEY)))).status == 403
        answer = await ask(gateway, get("/admin/keys", headers=bearer(boss)))
        assert {record["id"] for record in answer.json()["keys"]} == {"document:ci", "document:boss"}


async def test_without_accounts_everybody_may_use_everything_and_nobody_administers():
    async with running_gateway() as gateway:
        for headers in ([], bearer("x"), [("authorization", "Bearer a"), ("x-api-key", "b")]):
            assert (await ask(gateway, post(chat(), headers=headers))).status == 200
        answer = await ask(gateway, get("/admin/keys", headers=bearer("x")))
        assert (answer.status, answer.error["code"]) == (404, "accounts_off")
        assert (await ask(gateway, get("/readyz"))).status == 200


async def test_anthropics_clients_read_that_a_key_is_wrong():
    async with opened({}, {"ci": listed(KEY)}) as accounts, running_gateway(accounts=accounts) as gateway:
        answer = await ask(gateway, post(chat(), "/v1/messages", [("x-api-key", "sk-ant-1")]))
        assert answer.status == 401
        assert answer.json()["error"]["type"] == "authentication_error"
        assert (await ask(gateway, post(chat(), "/v1/messages", [("x-api-key", KEY)]))).status == 200


async def test_pages_of_allowed_origins_ask_before_they_have_a_key():
    settings = {"cors": {"allowOrigins": ["https://app.example"]}}
    asked = [("origin", "https://app.example"), ("access-control-request-method", "POST")]
    async with (
        opened({}, {"ci": listed(KEY)}) as accounts,
        running_gateway(accounts=accounts, settings=settings) as gateway,
    ):
        assert (await ask(gateway, get("/v1/chat/completions", "OPTIONS", asked))).status == 204
        answer = await ask(gateway, post(chat(), headers=[("origin", "https://app.example")]))
        assert answer.status == 401
        assert answer.headers["access-control-allow-origin"] == "https://app.example"


async def test_keys_of_the_document_are_taken_over_in_place():
    other = secret.new_key()
    async with opened({}, {"ci": listed(KEY)}) as accounts, running_gateway(accounts=accounts) as gateway:
        assert (await ask(gateway, post(chat(), headers=bearer(KEY)))).status == 200
        accounts.replace_keys({"other": listed(other)})
        assert (await ask(gateway, post(chat(), headers=bearer(KEY)))).status == 401
        assert (await ask(gateway, post(chat(), headers=bearer(other)))).status == 200
        accounts.replace_keys({})
        assert (await ask(gateway, post(chat(), headers=bearer(other)))).status == 401


async def test_a_file_that_is_missing_at_the_start_is_waited_for(tmp_path: Path):
    path = tmp_path / "keys.yaml"
    async with opened({"keysFile": str(path)}) as accounts, running_gateway(accounts=accounts) as gateway:
        ready = await ask(gateway, get("/readyz"))
        assert (ready.status, ready.error["code"]) == (503, "store_unavailable")
        assert "The file of keys cannot be read" in ready.error["message"]
        assert str(path) not in ready.error["message"]
        assert (await ask(gateway, post(chat(), headers=bearer(KEY)))).status == 503
        path.write_text(f"ci: {{hashes: ['{listed(KEY).hashes[0]}']}}\n")
        await accounts._try_to_open()
        assert (await ask(gateway, get("/readyz"))).status == 200
        assert (await ask(gateway, post(chat(), headers=bearer(KEY)))).status == 200


async def test_all_sources_count_together(tmp_path: Path):
    in_file = secret.new_key()
    (tmp_path / "keys.yaml").write_text(f"f: {{hashes: ['{listed(in_file).hashes[0]}']}}\n")
    settings = {"keysFile": str(tmp_path / "keys.yaml"), "database": {"sqlite": str(tmp_path / "accounts.db")}}
    async with opened(settings, {"ci": listed(KEY)}) as accounts, running_gateway(accounts=accounts) as gateway:
        stored = (await accounts.service.create(NewKey(name="s"), actor="cli:test")).key.get_secret_value()
        for key in (KEY, in_file, stored):
            assert (await ask(gateway, post(chat(), headers=bearer(key)))).status == 200
        sources = [record.source for record in await accounts.service.all_keys()]
        assert sources == ["store", "document", "file"]
