"""The security table: for every kind of attack what is sent and what becomes of it. No row gets in.

After each row no engine has seen anything, keys and their log are what they were, and neither the answer nor the log
holds a key. What a row cannot show stands beside: that names are only names. That a wrong key is looked up by its hash,
so that the time it takes tells nothing, `test_nobody_gets_in_without_a_key` shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest

from penstock.accounts import secret
from penstock.accounts.records import NewKey
from support.closed_gateways import ME, World, bearer, closed_gateway
from support.gateways import ask, chat, connected, get, post

pytestmark = pytest.mark.integration

KINDS = {
    "missing", "malformed", "revoked", "expired", "wrong model", "wrong role", "key in query", "header smuggling",
    "two auth headers", "oversized header", "timing of wrong keys", "injection in names", "path traversal",
    "admin from a user key",
}  # fmt: skip
CHAT, ADMIN = "/v1/chat/completions", "/admin/keys"


class Row(NamedTuple):
    """An attack. `codes` empty: the listener itself refuses it, in words of its own."""

    kind: str
    what: str
    request: Callable[[World], bytes]
    status: int
    codes: frozenset[str] = frozenset(["invalid_api_key"])


def _ask(key: str = "", model: str = "demo") -> bytes:
    return post(chat(model), headers=bearer(key) if key else ())


def _admin(key: str, body: object = None, path: str = ADMIN, method: str = "GET") -> bytes:
    if body is None:
        return get(path, method, bearer(key))
    return post(orjson.dumps(body), path, bearer(key))


def _raw(target: str, lines: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nhost: h\r\n{lines}\r\n".encode("latin-1")


def _near(key: str, same: int) -> str:
    """A whole key that is another, and begins like one for so many letters."""
    body = key[:same] + "".join("a" if letter != "a" else "b" for letter in key[same:-6])
    return body + hashlib.sha256(body.encode()).hexdigest()[:6]


def _rows() -> list[Row]:
    one, none = frozenset[str], frozenset[str]()
    model, role = one(["model_not_allowed"]), one(["role_not_allowed"])
    query, two, unknown = one(["key_in_query"]), one(["ambiguous_credentials"]), one(["unknown_url"])
    absent, wrong = one(["key_not_found"]), one(["invalid_request"])
    bad = "psk_" + "a" * 38
    return [
        Row("missing", "no header", lambda _: _ask(), 401),
        Row("missing", "an empty one", lambda _: post(chat(), headers=[("authorization", "Bearer ")]), 401),
        Row("missing", "a cookie", lambda w: get("/v1/models", headers=[("cookie", f"api-key={w.user}")]), 401),
        Row("missing", "in the body", lambda w: post(chat(api_key=w.user)), 401),
        Row("missing", "at /admin", lambda _: get(ADMIN), 401),
        Row("malformed", "too short", lambda w: _ask(w.user[:-1]), 401),
        Row("malformed", "too long", lambda w: _ask(f"{w.user}0"), 401),
        Row("malformed", "a wrong check", lambda _: _ask(bad), 401),
        Row("malformed", "its hash", lambda w: _ask(secret.written(secret.digest(w.user.encode()))), 401),
        Row("malformed", "another scheme", lambda w: post(chat(), headers=[("authorization", f"Basic {w.user}")]), 401),
        Row("malformed", "bytes that are no text", lambda _: _ask("psk_\xff\xfe"), 401),
        Row("malformed", "dots", lambda _: _ask("a.b.c"), 401),
        Row("revoked", "disabled", lambda w: _ask(w.disabled), 401),
        Row("revoked", "deleted", lambda w: _ask(w.deleted), 401),
        Row("revoked", "rotated away", lambda w: _ask(w.rotated_away), 401),
        Row("revoked", "disabled, at /admin", lambda w: _admin(w.disabled), 401),
        Row("expired", "at a model", lambda w: _ask(w.expired), 401),
        Row("expired", "at /v1/models", lambda w: get("/v1/models", headers=bearer(w.expired)), 401),
        Row("expired", "at /admin", lambda w: _admin(w.expired), 401),
        Row("wrong model", "its name", lambda w: _ask(w.narrow, "secret-model"), 403, model),
        Row("wrong model", "its alias", lambda w: _ask(w.narrow, "hidden"), 403, model),
        Row("wrong model", "a name with a slash", lambda w: _ask(w.narrow, "org/big"), 403, model),
        Row("wrong model", "of a listed key", lambda w: _ask(w.listed, "secret-model"), 403, model),
        Row("wrong model", "its card", lambda w: get("/v1/models/hidden", headers=bearer(w.narrow)), 403, model),
        Row("wrong model", "said twice, the last counts", lambda w: post(
            b'{"model":"demo","model":"secret-model","messages":[]}', headers=bearer(w.narrow)), 403, model),
        Row("wrong role", "an admin at a model", lambda w: _ask(w.admin), 403, role),
        Row("wrong role", "an admin at /v1/models", lambda w: get("/v1/models", headers=bearer(w.admin)), 403, role),
        Row("wrong role", "a role in a header", lambda w: get(
            ADMIN, headers=[*bearer(w.user), ("x-role", "admin"), ("x-penstock-role", "admin")]), 403, role),
        Row("key in query", "api_key", lambda w: get(f"/v1/models?api_key={w.user}"), 400, query),
        Row("key in query", "under any name", lambda w: get(f"/v1/models?x={w.user}"), 400, query),
        Row("key in query", "encoded", lambda w: get(f"/v1/models?x=%70sk_{w.user[4:]}"), 400, query),
        Row("key in query", "beside a right header", lambda w: get(
            f"/v1/models?key={w.user}", headers=bearer(w.user)), 400, query),
        Row("key in query", "at /admin", lambda w: get(f"{ADMIN}?token={w.admin}"), 400, query),
        Row("header smuggling", "a folded line", lambda w: _raw(
            "/v1/models", f"x: y\r\n authorization: Bearer {w.user}\r\n"), 400, none),
        Row("header smuggling", "a blank before the colon", lambda w: _raw(
            "/v1/models", f"authorization : Bearer {w.user}\r\n"), 400, none),
        Row("header smuggling", "a bare line feed", lambda w: _raw(
            "/v1/models", f"x: y\nauthorization: Bearer {w.user}\r\n"), 400, none),
        Row("header smuggling", "a NUL", lambda w: _raw(
            "/v1/models", f"authorization: Bearer {w.user}\0\r\n"), 400, none),
        Row("header smuggling", "two lengths", lambda w: _raw(
            CHAT, "content-length: 5\r\ncontent-length: 60\r\n"), 400, none),
        Row("header smuggling", "a length and chunks", lambda w: _raw(
            CHAT, "content-length: 5\r\ntransfer-encoding: chunked\r\n"), 400, none),
        Row("header smuggling", "an underscore", lambda w: get("/v1/models", headers=[("x_api_key", w.user)]), 401),
        Row("header smuggling", "forwarded", lambda w: get(
            "/v1/models", headers=[("x-forwarded-authorization", f"Bearer {w.user}")]), 401),
        Row("header smuggling", "for a proxy", lambda w: get(
            "/v1/models", headers=[("proxy-authorization", f"Bearer {w.user}")]), 401),
        Row("header smuggling", "in the request's id", lambda w: get(
            "/v1/models", headers=[("x-request-id", f"authorization: Bearer {w.user}")]), 401),
        Row("two auth headers", "of two kinds", lambda w: get(
            "/v1/models", headers=[*bearer(w.user), ("x-api-key", w.narrow)]), 400, two),
        Row("two auth headers", "a wrong one beside it", lambda w: get(
            "/v1/models", headers=[*bearer(w.user), ("api-key", "x")]), 400, two),
        Row("two auth headers", "two lines", lambda w: _raw(
            "/v1/models", f"authorization: Bearer {w.user}\r\nauthorization: Bearer {w.narrow}\r\n"), 400, two),
        Row("two auth headers", "a user's and an admin's", lambda w: get(
            ADMIN, headers=[*bearer(w.user), ("x-api-key", w.admin)]), 400, two),
        Row("two auth headers", "two in one line", lambda w: _ask(f"{w.user}, Bearer {w.user}"), 401),
        Row("oversized header", "a key of 30 KB", lambda _: _ask("psk_" + "a" * 30_000), 401),
        Row("oversized header", "a head of 70 KB", lambda _: _ask("a" * 70_000), 431, none),
        Row("oversized header", "a right key after 70 KB", lambda w: get(
            "/v1/models", headers=[("x", "a" * 70_000), *bearer(w.user)]), 431, none),
        *(
            Row("timing of wrong keys", f"{same} letters right", lambda w, same=same: _ask(_near(w.user, same)), 401)  # type: ignore[misc]
            for same in (4, 20, 35)
        ),
        Row("injection in names", "SQL as a key", lambda _: _ask("' OR '1'='1"), 401),
        Row("injection in names", "a pattern as a key", lambda _: _ask("psk_%"), 401),
        *(
            Row("injection in names", f"{text!r} as an id", lambda w, text=text: _admin(  # type: ignore[misc]
                w.admin, path=f"{ADMIN}/{text}"), 404, absent)
            for text in ("%27%20OR%201=1--", "%25", "*", "%00", "%0d%0ax:%20y", "..%2f..%2fetc%2fpasswd", "$%7bjndi%7d")
        ),
        *(
            Row("injection in names", f"{name!r} as a name", lambda w, name=name: _admin(  # type: ignore[misc]
                w.admin, {"name": name}), 400, wrong)
            for name in ("a\nb", "a\r\nx: y", "a\0", "\x1b[31mred", "\u202egpj", " a", "", "x" * 101, "a\u2028b")
        ),
        *(
            Row("injection in names", f"{field} {value!r}", lambda w, field=field, value=value: _admin(  # type: ignore[misc]
                w.admin, {"name": "a", field: value}), 400, wrong)
            for field, value in (
                ("owner", "a'; DROP TABLE penstock_keys; --"), ("owner", "../x"), ("owner", "a b"), ("owner", "{0}"),
                ("models", ["[a-z]"]), ("models", ["../demo"]), ("models", ["a\n"]), ("roles", ["root"]),
                ("id", "key_mine"), ("disabled", False),
            )
        ),
        Row("injection in names", "SQL as a model", lambda w: _ask(w.narrow, "' OR '1'='1"), 404, one(
            ["model_not_found"])),
        Row("injection in names", "a pattern as a model", lambda w: _ask(w.narrow, "secret*"), 404, one(
            ["model_not_found"])),
        *(
            Row("path traversal", path, lambda w, path=path: get(path, headers=bearer(w.user)), 404, unknown)  # type: ignore[misc]
            for path in (
                "/v1/../admin/keys", "/healthz/../admin/keys", "//admin/keys", "/./admin/keys", "/admin;/keys",
                "/ADMIN/keys", "/healthz%2f..%2fadmin%2fkeys", "/metrics/../admin/keys",
            )
        ),
        Row("path traversal", "an encoded letter", lambda w: get("/%61dmin/keys", headers=bearer(w.user)), 403, role),
        Row("path traversal", "an encoded slash", lambda w: get("/admin%2fkeys", headers=bearer(w.user)), 403, role),
        Row("path traversal", "a model's card", lambda w: get(
            "/v1/models/..%2f..%2fadmin%2fkeys", headers=bearer(w.user)), 404, one(["model_not_found"])),
        Row("path traversal", "out of /admin", lambda w: get(
            "/admin/../v1/models", headers=bearer(w.user)), 403, role),
        Row("admin from a user key", "a list", lambda w: _admin(w.user), 403, role),
        Row("admin from a user key", "a new admin", lambda w: _admin(
            w.user, {"name": "mine", "roles": ["admin"]}), 403, role),
        Row("admin from a user key", "its own role", lambda w: _admin(
            w.user, {"roles": ["admin"]}, f"{ADMIN}/user"), 403, role),
        Row("admin from a user key", "more for itself", lambda w: _admin(
            w.user, {"limits": None}, f"{ADMIN}/user/limits"), 403, role),
        Row("admin from a user key", "another's key", lambda w: _admin(
            w.user, {"overlap": "0"}, f"{ADMIN}/admin/rotate"), 403, role),
        Row("admin from a user key", "another's end", lambda w: _admin(
            w.user, path=f"{ADMIN}/admin", method="DELETE"), 403, role),
        Row("admin from a user key", "the log", lambda w: _admin(w.user, path="/admin/audit"), 403, role),
        Row("admin from a user key", "a method in a header", lambda w: get(
            f"{ADMIN}/admin", headers=[*bearer(w.user), ("x-http-method-override", "DELETE")]), 403, role),
        Row("admin from a user key", "of a list", lambda w: _admin(w.listed), 403, role),
    ]  # fmt: skip


ROWS = _rows()


@pytest.fixture
async def world(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[World]:
    async with closed_gateway(tmp_path, caplog) as made:
        yield made


def test_every_kind_of_attack_has_rows() -> None:
    assert {row.kind for row in ROWS} == KINDS
    assert len({(row.kind, row.what) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.kind}: {row.what}")
async def test_no_row_gets_in(world: World, row: Row) -> None:
    before = await world.accounts.service.all_keys(), await world.accounts.service.changes()
    # Not asked for another way: what a listener refuses it may end the connection after.
    async with connected(world.gateway) as client:
        await client.send(row.request(world))
        answer = await client.response()
    assert answer.status == row.status, answer.body
    if row.codes:
        assert answer.error["code"] in row.codes
    assert world.gateway.engine.seen == []
    assert (await world.accounts.service.all_keys(), await world.accounts.service.changes()) == before
    told = answer.body + str(answer.headers).encode()
    assert not [key for key in world.keys if key.encode() in told]


NAMES = [
    "'; DROP TABLE penstock_keys; --", '"><script>alert(1)</script>', "${jndi:ldap://x}", "{0.__class__}", "%s%n",
    "../../etc/passwd", "a/b?c#d", "[bold]x[/bold]", "$(reboot)", "`id`", "null", "0", "key_aaaaaaaaaaaa", "Ä 名前 🔑",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_is_a_name_and_nothing_else(world: World, name: str) -> None:
    made = await world.accounts.service.create(NewKey(name=name, models=["demo"]), actor=ME)
    answer = await ask(world.gateway, _admin(world.admin))
    assert name in [record["name"] for record in answer.json()["keys"]]
    shown = await ask(world.gateway, _admin(world.admin, path=f"{ADMIN}/{made.id}"))
    assert shown.json()["name"] == name
    assert (await ask(world.gateway, _ask(made.key.get_secret_value()))).status == 200
    audit = await ask(world.gateway, _admin(world.admin, path=f"/admin/audit?id={made.id}"))
    assert [change["details"]["name"] for change in audit.json()["changes"]] == [name]
    await world.accounts.service.delete(made.id, actor=ME)
    assert "admin" in [record.name for record in await world.accounts.service.all_keys()]
