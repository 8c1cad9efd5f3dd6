"""`/admin/...`: what an administrator can do over HTTP, and what is said of mistakes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import schemathesis
from openai import AsyncOpenAI, AuthenticationError, PermissionDeniedError

from penstock.accounts import secret
from penstock.gateway.admin_openapi import openapi
from penstock.gateway.admin_operations import OPERATIONS
from support.gateways import Gateway, Response, ask, chat, get, post, running_gateway
from support.keys import listed, opened

pytestmark = pytest.mark.integration

BOSS = secret.new_key()


class Admin:
    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def __call__(self, method: str, path: str, body: Any = None, key: str = BOSS) -> Response:
        lines = [("authorization", f"Bearer {key}")]
        raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        request = post(raw, f"/admin/{path}", lines) if raw else get(f"/admin/{path}", method, lines)
        return await ask(self.gateway, request.replace(b"POST", method.encode(), 1))

    async def made(self, **body: Any) -> dict[str, Any]:
        answer = await self("POST", "keys", body)
        assert answer.status == 201, answer.body
        made: dict[str, Any] = answer.json()
        return made


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    settings = {"database": {"sqlite": str(tmp_path / "accounts.db")}, "recheck": 0.05}
    keys = {"boss": listed(BOSS, roles=["admin"])}
    async with opened(settings, keys) as accounts, running_gateway(accounts=accounts) as gateway:
        yield Admin(gateway)


async def works(admin: Admin, key: str) -> int:
    return (await ask(admin.gateway, post(chat(), headers=[("authorization", f"Bearer {key}")]))).status


async def until(admin: Admin, key: str, status: int) -> None:
    async with asyncio.timeout(60):
        while await works(admin, key) != status:  # noqa: ASYNC110  # a gateway tells nobody when its memory ends
            await asyncio.sleep(0.02)


async def test_the_life_of_a_key(admin: Admin):
    made = await admin.made(name="alice", owner="research", models=["demo"], expires="2099-01-01T00:00:00Z")
    assert await works(admin, made["key"]) == 200
    path = f"keys/{made['id']}"
    shown = (await admin("GET", path)).json()
    assert shown == {name: value for name, value in made.items() if name != "key"}
    assert (shown["state"], shown["expires"], shown["source"]) == ("active", "2099-01-01T00:00:00Z", "store")

    rotated = (await admin("POST", f"{path}/rotate", {"overlap": "1h"})).json()
    assert rotated["id"] == made["id"]
    assert await works(admin, rotated["key"]) == 200
    assert await works(admin, made["key"]) == 200

    assert (await admin("POST", f"{path}/disable")).json()["state"] == "disabled"
    await until(admin, rotated["key"], 401)
    assert (await admin("POST", f"{path}/enable")).json()["state"] == "active"
    await until(admin, rotated["key"], 200)
    assert (await admin("DELETE", path)).status == 200
    await until(admin, rotated["key"], 401)
    assert (await admin("GET", path)).status == 404

    changes = (await admin("GET", f"audit?id={made['id']}")).json()["changes"]
    assert [change["action"] for change in changes] == ["delete", "enable", "disable", "rotate", "create"]
    assert {change["actor"] for change in changes} == {"key:document:boss"}


async def test_a_list_shows_no_keys(admin: Admin):
    made = await admin.made(name="alice")
    answer = await admin("GET", "keys")
    assert made["key"].encode() not in answer.body
    assert answer.headers["cache-control"] == "no-store"
    assert [(record["name"], record["source"]) for record in answer.json()["keys"]] == [
        ("alice", "store"), ("boss", "document"),
    ]  # fmt: skip


async def test_an_admin_made_over_http_administers(admin: Admin):
    made = await admin.made(name="second", roles=["admin"])
    assert (await admin("GET", "keys", key=made["key"])).status == 200
    third = (await admin("POST", "keys", {"name": "third"}, key=made["key"])).json()
    changes = (await admin("GET", f"audit?id={third['id']}")).json()["changes"]
    assert changes[0]["actor"] == f"key:{made['id']}"


MISTAKES = [
    ("POST", "keys", b"", 400, "invalid_json", None),
    ("POST", "keys", b"{", 400, "invalid_json", None),
    ("POST", "keys", b"[]", 400, "invalid_request", None),
    ("POST", "keys", {}, 400, "invalid_request", "name"),
    ("POST", "keys", {"name": "a\nb"}, 400, "invalid_request", "name"),
    ("POST", "keys", {"name": "a", "role": "admin"}, 400, "invalid_request", "role"),
    ("POST", "keys", {"name": "a", "roles": ["root"]}, 400, "invalid_request", "roles.0"),
    ("POST", "keys", {"name": "a", "roles": []}, 400, "invalid_request", "roles"),
    ("POST", "keys", {"name": "a", "models": ["[a"]}, 400, "invalid_request", "models.0"),
    ("POST", "keys", {"name": "a", "expires": "soon"}, 400, "invalid_request", "expires"),
    ("POST", "keys", {"name": "a", "id": "key_mine"}, 400, "invalid_request", "id"),
    ("POST", "keys", b"[" * 60_000, 400, "invalid_json", None),
    ("POST", "keys", b" " * 70_000, 413, "request_too_large", None),
    ("GET", "keys/nobody", None, 404, "key_not_found", None),
    ("GET", "keys/..%2f..%2fetc%2fpasswd", None, 404, "key_not_found", None),
    ("GET", "keys/%27%20OR%201=1--", None, 404, "key_not_found", None),
    ("DELETE", "keys/nobody", None, 404, "key_not_found", None),
    ("POST", "keys/nobody/rotate", None, 404, "key_not_found", None),
    ("POST", "keys/nobody/rotate", {"overlap": "-1"}, 400, "invalid_request", "overlap"),
    ("POST", "keys/nobody/rotate", {"overlap": "91d"}, 400, "invalid_request", "overlap"),
    ("POST", "keys/document:boss/disable", None, 409, "not_stored", None),
    ("DELETE", "keys/document:boss", None, 409, "not_stored", None),
    ("PUT", "keys", None, 405, "method_not_allowed", None),
    ("GET", "keys/x/rotate", None, 405, "method_not_allowed", None),
    ("POST", "openapi.json", None, 405, "method_not_allowed", None),
    ("GET", "nothing", None, 404, "unknown_url", None),
    ("GET", "", None, 404, "unknown_url", None),
    ("GET", "audit?limit=0", None, 400, "invalid_request", "limit"),
    ("GET", "audit?limit=x", None, 400, "invalid_request", "limit"),
    ("GET", "audit?" + "&".join(f"a{n}=1" for n in range(200)), None, 400, "invalid_request", None),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code", "param"), MISTAKES)
async def test_a_mistake_is_told(
    admin: Admin, method: str, path: str, body: Any, status: int, code: str, param: str | None
):
    answer = await admin(method, path, body)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (status, code, param)
    assert [record["name"] for record in (await admin("GET", "keys")).json()["keys"]] == ["boss"]


async def test_a_name_is_given_once(admin: Admin):
    await admin.made(name="alice")
    answer = await admin("POST", "keys", {"name": "alice"})
    assert (answer.status, answer.error["code"], answer.error["param"]) == (409, "name_taken", "name")


async def test_a_method_that_is_not_allowed_is_told_which_are(admin: Admin):
    assert (await admin("PUT", "keys")).headers["allow"] == "GET, POST, OPTIONS"
    options = await ask(admin.gateway, get("/admin/keys", "OPTIONS"))
    assert (options.status, options.headers["allow"]) == (204, "GET, POST, DELETE, OPTIONS")


async def test_without_a_store_keys_are_shown_and_not_made():
    k = secret.new_key()
    keys = {
        "boss": listed(BOSS, roles=["admin"], expires="2001-01-01T00:00:00Z"),
        "b2": listed(k, roles=["admin"]),
    }
    async with opened({}, keys) as accounts, running_gateway(accounts=accounts) as gateway:
        admin = Admin(gateway)
        states = {each["id"]: each["state"] for each in (await admin("GET", "keys", key=k)).json()["keys"]}
        assert states == {"document:boss": "expired", "document:b2": "active"}
        for method, path, body in (("POST", "keys", {"name": "a"}), ("GET", "audit", None)):
            answer = await admin(method, path, body, key=k)
            assert (answer.status, answer.error["code"]) == (409, "not_stored")


async def test_a_store_that_breaks_is_told_and_not_how(admin: Admin, monkeypatch: pytest.MonkeyPatch):
    def breaks(_: object) -> None:
        raise OSError("db.internal is full")

    monkeypatch.setattr("sqlalchemy.ext.asyncio.AsyncEngine.connect", breaks)
    answer = await admin("GET", "keys")
    assert (answer.status, answer.error["code"]) == (503, "store_unavailable")
    assert b"db.internal" not in answer.body


async def test_the_openapi_document_says_what_is_answered(admin: Admin):
    document = (await admin("GET", "openapi.json")).json()
    assert document == orjson.loads(orjson.dumps(openapi()))
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(operation.method, f"/admin/{operation.path}") for operation in OPERATIONS}
    assert "key" in document["components"]["schemas"]["MadeKey"]["properties"]
    assert "key" not in document["components"]["schemas"]["KeyRecord"]["properties"]


def test_the_openapi_document_is_one():
    schema = schemathesis.openapi.from_dict(openapi())
    schema.validate()
    assert len(list(schema.get_all_operations())) == len(OPERATIONS)


async def test_openais_own_client_reads_the_refusals(admin: Admin):
    made = await admin.made(name="alice", models=["other"])
    async with AsyncOpenAI(base_url=f"{admin.gateway.url}/v1", api_key="psk_wrong", max_retries=0) as client:
        with pytest.raises(AuthenticationError) as unknown:
            await client.chat.completions.create(model="demo", messages=[{"role": "user", "content": "x"}])
        assert unknown.value.code == "invalid_api_key"
        with pytest.raises(PermissionDeniedError) as forbidden:
            await client.with_options(api_key=made["key"]).chat.completions.create(
                model="demo", messages=[{"role": "user", "content": "x"}]
            )
        assert (forbidden.value.code, forbidden.value.param) == ("model_not_allowed", "model")
