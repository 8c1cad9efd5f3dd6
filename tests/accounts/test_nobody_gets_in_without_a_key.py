"""Every way in that somebody might try, on a gateway that listens. The only way is a valid key.
`test_the_security_table` has them in one table, kind by kind."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from penstock.accounts import secret
from penstock.accounts.account import Account
from penstock.accounts.records import NewKey
from penstock.gateway.routes import OPEN_TO_ALL, ROUTES
from support.closed_gateways import ME, World, bearer, closed_gateway, refused
from support.gateways import ask, chat, connected, get, post

pytestmark = pytest.mark.integration


@pytest.fixture
async def world(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[World]:
    async with closed_gateway(tmp_path, caplog) as made:
        yield made


HEADERS = {
    "Authorization": lambda key: [("authorization", f"Bearer {key}")],
    "in lower case": lambda key: [("authorization", f"bearer {key}")],
    "with blanks": lambda key: [("authorization", f"  Bearer   {key}  ")],
    "x-api-key": lambda key: [("x-api-key", key)],
    "api-key": lambda key: [("api-key", key)],
    "twice the same": lambda key: [("authorization", f"Bearer {key}"), ("x-api-key", key)],
    "beside another scheme": lambda key: [("authorization", "Basic dTpw"), ("x-api-key", key)],
    "beside an empty one": lambda key: [("authorization", "Bearer "), ("x-api-key", key)],
}


@pytest.mark.parametrize("way", HEADERS)
async def test_a_valid_key_gets_in_and_never_reaches_the_engine(world: World, way: str):
    answer = await ask(world.gateway, post(chat(), headers=HEADERS[way](world.user)))
    assert answer.status == 200
    assert world.user not in str(world.gateway.engine.seen)


async def test_a_listed_key_gets_in(world: World):
    assert (await ask(world.gateway, post(chat(), headers=bearer(world.listed)))).status == 200
    refused(await ask(world.gateway, post(chat("org/big"), headers=bearer(world.listed))), 403, "model_not_allowed")


WRONG = {
    "missing": lambda _: [],
    "empty": lambda _: bearer(""),
    "no bearer": lambda world: [("authorization", world.user)],
    "basic": lambda world: [("authorization", f"Basic {world.user}")],
    "malformed": lambda _: bearer("sk-1234"),
    "cut": lambda world: bearer(world.user[:-1]),
    "mistyped": lambda world: bearer(world.user[:10] + ("a" if world.user[10] != "a" else "b") + world.user[11:]),
    "other case": lambda world: bearer(world.user.swapcase()),
    "longer": lambda world: bearer(world.user + "0"),
    "two in one line": lambda world: bearer(f"{world.user}, Bearer {world.user}"),
    "the hash": lambda world: bearer(secret.digest(world.user.encode()).hex()),
    "the written hash": lambda world: bearer(secret.written(secret.digest(world.user.encode()))),
    "the id": lambda _: bearer("key_aaaaaaaaaaaa"),
    "unknown": lambda _: bearer(secret.new_key()),
    "disabled": lambda world: bearer(world.disabled),
    "expired": lambda world: bearer(world.expired),
    "deleted": lambda world: bearer(world.deleted),
    "rotated away": lambda world: bearer(world.rotated_away),
    "oversized": lambda _: bearer("psk_" + "a" * 30_000),
    "not ASCII": lambda _: bearer("psk_\xe4\xff"),
    "injection": lambda _: bearer("' OR '1'='1"),
    "a pattern": lambda _: bearer("psk_%"),
    "in a cookie": lambda world: [("cookie", f"authorization=Bearer {world.user}; api-key={world.user}")],
    "for a proxy": lambda world: [("proxy-authorization", f"Bearer {world.user}")],
    "forwarded": lambda world: [("x-forwarded-authorization", f"Bearer {world.user}")],
    "underscores": lambda world: [("x_api_key", world.user)],
}


@pytest.mark.parametrize("way", WRONG)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/admin/keys"])
async def test_a_key_that_is_none_gets_in_nowhere(world: World, way: str, path: str):
    headers = WRONG[way](world)
    request = post(chat(), headers=headers) if path.startswith("/v1/chat") else get(path, headers=headers)
    refused(await ask(world.gateway, request), 401, "invalid_api_key")
    assert world.gateway.engine.seen == []


async def test_what_is_said_does_not_tell_whether_a_key_exists(world: World):
    told = {
        (await ask(world.gateway, post(chat(), headers=bearer(key)))).body
        for key in (secret.new_key(), world.disabled, world.expired, world.deleted, world.rotated_away)
    }
    assert len(told) == 1
    assert b"psk_" not in told.pop()


async def test_the_log_says_why_a_key_was_refused_by_its_id(world: World):
    await ask(world.gateway, post(chat(), headers=bearer(world.expired)))
    key_id = (await world.accounts.service.get("expired")).id
    fields = [getattr(record, "fields", {}) for record in world.log.records]
    assert {"key": key_id, "reason": "expired"} in fields


TWO = {
    "in two headers": lambda world: [("authorization", f"Bearer {world.user}"), ("x-api-key", world.narrow)],
    "a wrong one beside it": lambda world: [("authorization", f"Bearer {world.user}"), ("api-key", "x")],
    "in all three": lambda world: [("authorization", "Bearer a"), ("x-api-key", "b"), ("api-key", "c")],
}


@pytest.mark.parametrize("way", TWO)
async def test_two_different_keys_are_refused(world: World, way: str):
    refused(await ask(world.gateway, post(chat(), headers=TWO[way](world))), 400, "ambiguous_credentials")


async def test_two_lines_of_one_header_are_two_keys(world: World):
    head = f"authorization: Bearer {world.user}\r\nauthorization: Bearer {world.narrow}\r\n"
    request = f"GET /v1/models HTTP/1.1\r\nhost: h\r\n{head}\r\n".encode()
    refused(await ask(world.gateway, request), 400, "ambiguous_credentials")


QUERIES = [
    "api_key={}", "api-key={}", "apikey={}", "key={}", "token={}", "access_token={}", "x-api-key={}",
    "subscription-key={}", "a=b&API_KEY={}", "whatever={}", "a={}", "%61pi_key={}", "api%5Fkey={}", "a=1;key={}",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("path", ["/v1/models", "/admin/keys"])
async def test_a_key_in_the_address_is_refused_with_the_reason(world: World, query: str, path: str):
    refused(await ask(world.gateway, get(f"{path}?{query.format(world.user)}")), 400, "key_in_query")
    answer = await ask(world.gateway, get(f"{path}?{query.format(world.user)}", headers=bearer(world.admin)))
    refused(answer, 400, "key_in_query")
    assert world.user not in answer.error["message"]


async def test_another_query_is_no_key(world: World):
    target = "/v1/models?api-version=2024-10-21&keys=1&monkey=2&limit=5"
    assert (await ask(world.gateway, get(target, headers=bearer(world.user)))).status == 200


SMUGGLED = {
    "two lengths": "content-length: 5\r\ncontent-length: 60\r\n",
    "length and chunks": "content-length: 5\r\ntransfer-encoding: chunked\r\n",
    "a line that goes on": "x: y\r\n authorization: Bearer {key}\r\n",
    "a blank before the colon": "authorization : Bearer {key}\r\n",
    "a bare line feed": "x: y\nauthorization: Bearer {key}\r\n",
    "a NUL": "authorization: Bearer {key}\0\r\n",
    "a return inside": "x: a\rauthorization: Bearer {key}\r\n",
}


@pytest.mark.parametrize("way", SMUGGLED)
async def test_a_smuggled_header_gets_nothing_in(world: World, way: str):
    lines = SMUGGLED[way].format(key=world.user)
    body = b"0\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: h\r\n\r\n"
    async with connected(world.gateway) as client:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n{lines}\r\n"
        await client.send(head.encode("latin-1") + body)
        answer = await client.response()
        assert answer.status in (400, 401), answer
    assert world.gateway.engine.seen == []


async def test_a_head_that_is_too_large_is_refused_before_anybody_reads_it(world: World):
    answer = await ask(world.gateway, get("/v1/models", headers=bearer("a" * 70_000)))
    assert answer.status == 431


async def test_each_request_of_a_connection_needs_its_own_key(world: World):
    async with connected(world.gateway) as client:
        assert (await client.ask(post(chat(), headers=bearer(world.user)))).status == 200
        refused(await client.ask(post(chat())), 401, "invalid_api_key")
        assert (await client.ask(post(chat(), headers=bearer(world.user)))).status == 200


async def test_nobody_is_let_send_a_body_without_a_key(world: World):
    async with connected(world.gateway) as client:
        await client.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n\r\n{")
        refused(await client.response(), 401, "invalid_api_key")


NARROW = [
    ("demo", 200), ("default", 200), ("secret-model", 403), ("hidden", 403), ("org/big", 403), ("DEMO", 404),
    ("demo ", 404), ("../demo", 404), ("demo\x00", 404), ("*", 404), ("secret*", 404), ("demo/../secret-model", 404),
]  # fmt: skip


@pytest.mark.parametrize(("model", "status"), NARROW)
async def test_a_key_uses_the_models_that_it_may_and_no_other(world: World, model: str, status: int):
    answer = await ask(world.gateway, post(chat(model), headers=bearer(world.narrow)))
    assert answer.status == status
    if status == 403:
        refused(answer, 403, "model_not_allowed")
        assert answer.error["param"] == "model"
    if status == 404:
        assert "secret-model" not in answer.error["message"].removeprefix(f"The model {model!r} does not exist.")
        assert "hidden" not in answer.error["message"]


async def test_a_key_for_models_that_there_are_not_is_told_so(world: World):
    made = await world.accounts.service.create(NewKey(name="elsewhere", models=["gone*"]), actor=ME)
    key = made.key.get_secret_value()
    answer = await ask(world.gateway, post(chat("demoo"), headers=bearer(key)))
    refused(answer, 404, "model_not_found")
    assert "this key may use none" in answer.error["message"]
    assert (await ask(world.gateway, get("/v1/models", headers=bearer(key)))).json()["data"] == []


async def test_of_two_models_in_a_body_the_one_that_counts_is_checked(world: World):
    body = b'{"model":"demo","model":"secret-model","messages":[]}'
    refused(await ask(world.gateway, post(body, headers=bearer(world.narrow))), 403, "model_not_allowed")
    body = b'{"model":"secret-model","model":"demo","messages":[]}'
    answer = await ask(world.gateway, post(body, headers=bearer(world.narrow)))
    # What the engine takes of two is the last, as we do.
    assert answer.status == 200
    assert orjson.loads(world.gateway.engine.seen[-1].body)["model"] == "demo"


async def test_models_are_shown_to_those_who_may_use_them(world: World):
    async def shown(key: str) -> set[str]:
        answer = await ask(world.gateway, get("/v1/models", headers=bearer(key)))
        return {card["id"] for card in answer.json()["data"]}

    assert await shown(world.user) == {"demo", "default", "secret-model", "hidden", "org/big"}
    assert await shown(world.narrow) == {"demo", "default"}
    refused(await ask(world.gateway, get("/v1/models/hidden", headers=bearer(world.narrow))), 403, "model_not_allowed")
    assert (await ask(world.gateway, get("/v1/models/org%2Fbig", headers=bearer(world.user)))).status == 200


ADMIN_PATHS = ["/admin/keys", "/admin/audit", "/admin/openapi.json", "/admin/", "/admin/nothing", "/admin/keys/x"]


@pytest.mark.parametrize("path", ADMIN_PATHS)
async def test_a_users_key_administers_nothing(world: World, path: str):
    refused(await ask(world.gateway, get(path, headers=bearer(world.user))), 403, "role_not_allowed")
    refused(await ask(world.gateway, get(path)), 401, "invalid_api_key")


async def test_a_user_cannot_make_an_admin(world: World):
    body = orjson.dumps({"name": "mine", "roles": ["admin"]})
    refused(await ask(world.gateway, post(body, "/admin/keys", bearer(world.user))), 403, "role_not_allowed")
    assert "mine" not in [record.name for record in await world.accounts.service.all_keys()]


async def test_an_admins_key_calls_no_model(world: World):
    refused(await ask(world.gateway, post(chat(), headers=bearer(world.admin))), 403, "role_not_allowed")
    refused(await ask(world.gateway, get("/v1/models", headers=bearer(world.admin))), 403, "role_not_allowed")


TRAVERSALS = [
    "/v1/../admin/keys", "/healthz/../admin/keys", "/healthz/../v1/models", "//admin/keys", "/./admin/keys",
    "/admin%2fkeys", "/%61dmin/keys", "/admin/../v1/models", "/healthz%2f..%2fadmin/keys",
    "/v1/models/../../admin/keys", "/admin;/keys", "/ADMIN/keys", "/metrics/../admin/keys", "/admin/keys/",
    "/v1/models/..%2f..%2fadmin%2fkeys", "/admin/keys//",
]  # fmt: skip


@pytest.mark.parametrize("path", TRAVERSALS)
async def test_no_detour_leads_past_the_key(world: World, path: str):
    answer = await ask(world.gateway, get(path))
    assert answer.status in (401, 404)
    answer = await ask(world.gateway, get(path, headers=bearer(world.user)))
    assert answer.status in (403, 404)


@pytest.mark.parametrize("path", sorted(ROUTES))
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH"])
async def test_every_path_asks_for_a_key_but_those_for_probes(world: World, path: str, method: str):
    answer = await ask(world.gateway, get(path, method))
    open_to_all = ROUTES[path].action in OPEN_TO_ALL
    wanted = {200} if open_to_all else {401}
    assert answer.status in wanted | {405}
    assert world.gateway.engine.seen == []


async def test_a_wrong_key_that_begins_like_a_right_one_is_as_wrong_as_any(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    # Time cannot be compared on a busy machine; what is done can. A wrong key that begins like a right one and one that
    # does not are looked up by hashes that have nothing in common, and are told the same.
    asked: list[bytes] = []
    find = world.accounts.directory._store.find  # type: ignore[union-attr]

    async def counted(digest: bytes) -> Account | None:
        asked.append(digest)
        return await find(digest)

    monkeypatch.setattr(world.accounts.directory._store, "find", counted)
    body = world.user[:35] + ("a" if world.user[35] != "a" else "b")
    like = body + hashlib.sha256(body.encode()).hexdigest()[:6]
    assert secret.is_whole(like.encode())
    told = [await ask(world.gateway, post(chat(), headers=bearer(wrong))) for wrong in (secret.new_key(), like)]
    assert told[0].body == told[1].body
    assert len(set(asked)) == len(asked) == 2


async def test_many_requests_with_many_keys_are_never_mixed_up(world: World):
    async def one(number: int) -> None:
        key, status = [(world.user, 200), (world.narrow, 403), (secret.new_key(), 401), (world.disabled, 401)][
            number % 4
        ]
        answer = await ask(world.gateway, post(chat("org/big"), headers=bearer(key)))
        assert answer.status == status

    await asyncio.gather(*(one(number) for number in range(100)))
