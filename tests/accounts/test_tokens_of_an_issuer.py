"""Bearer tokens of an OpenID Connect issuer, against a real one on loopback: who gets in, and with what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from openai import AsyncOpenAI

from penstock.accounts import secret
from penstock.gateway.authentication import _OF_TOKENS
from support.gateways import Gateway, Response, ask, chat, get, post, running_gateway
from support.issuers import AUDIENCE, Issuer, encoded, jwk, private_key, running_issuer
from support.keys import listed, opened

pytestmark = pytest.mark.integration

KEY = secret.new_key()
ALGORITHMS = ["RS256", "PS512", "ES256", "ES384", "EdDSA"]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@asynccontextmanager
async def world(issuer: Issuer, **settings: Any) -> AsyncIterator[Gateway]:
    """A gateway that takes the issuer's tokens; `settings` of `accounts.oidc`."""
    oidc = {"issuer": issuer.url, "audience": [AUDIENCE], **settings}
    outage = oidc.pop("outage", 600)
    async with (
        opened({"oidc": oidc, "outage": outage}, {"ci": listed(KEY)}) as accounts,
        running_gateway(accounts=accounts) as gateway,
    ):
        yield gateway


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as made:
        yield made


async def with_token(gateway: Gateway, token: str, path: str = "/v1/chat/completions") -> Response:
    headers = [("authorization", f"Bearer {token}")]
    return await ask(
        gateway, post(chat(), headers=headers) if path.endswith("completions") else get(path, headers=headers)
    )


def refused(answer: Response, reason: str) -> None:
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key"), answer.body
    assert _OF_TOKENS[reason] in answer.error["message"]
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_token_gets_in_beside_keys_and_does_not_reach_the_engine(issuer: Issuer):
    async with world(issuer) as gateway:
        token = issuer.token()
        assert (await with_token(gateway, token)).status == 200
        assert token not in str(gateway.engine.seen)
        assert (await with_token(gateway, KEY)).status == 200
        assert (await ask(gateway, post(chat()))).status == 401


async def test_the_official_sdk_sends_one(issuer: Issuer):
    async with world(issuer) as gateway:
        client = AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=issuer.token(), max_retries=0)
        async with client:
            assert "demo" in [model.id async for model in client.models.list()]


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [("rsa-1", "RS256"), ("rsa-1", "PS512"), ("p256-1", "ES256"), ("p384-1", "ES384"), ("ed-1", "EdDSA")],
)
async def test_every_kind_of_signature_that_the_document_names_is_taken(key: str, algorithm: str):
    async with running_issuer("rsa-1", "p256-1", "p384-1", "ed-1") as issuer:
        async with world(issuer, algorithms=ALGORITHMS) as gateway:
            assert (await with_token(gateway, issuer.token(key, algorithm))).status == 200
        others = [name for name in ALGORITHMS if name != algorithm]
        async with world(issuer, algorithms=others) as gateway:
            refused(await with_token(gateway, issuer.token(key, algorithm)), "algorithm")


def _unsigned(issuer: Issuer, algorithm: str, signature: bytes = b"") -> str:
    header = {"alg": algorithm, "typ": "JWT", "kid": "rsa-1"}
    return f"{encoded(header)}.{encoded(issuer.claims())}.{encoded(signature)}"


def _signed_with_the_public_key(issuer: Issuer) -> str:
    pem = (
        private_key("rsa-1")
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    body = f"{encoded({'alg': 'HS256', 'kid': 'rsa-1'})}.{encoded(issuer.claims())}"
    signature = jwt.get_algorithm_by_name("HS256")
    return f"{body}.{encoded(signature.sign(body.encode(), pem))}"


def _with_other_claims(issuer: Issuer) -> str:
    head, _, signature = issuer.token().split(".")
    return f"{head}.{encoded(issuer.claims(sub='boss'))}.{signature}"


NOW = time.time
FORGED = {
    "signed by nobody": (lambda i: _unsigned(i, "none"), "algorithm"),
    "signed by nobody, in capitals": (lambda i: _unsigned(i, "NONE"), "algorithm"),
    "signed by nobody, said to be signed": (lambda i: _unsigned(i, "RS256"), "signature"),
    "signed with the public key as a secret": (_signed_with_the_public_key, "algorithm"),
    "other claims under a signature": (_with_other_claims, "signature"),
    "another's key under the right name": (lambda i: i.token("rsa-2", header={"kid": "rsa-1"}), "signature"),
    "a key of another kind under the name": (lambda i: i.token("p256-1", "ES256", {"kid": "rsa-1"}), "algorithm"),
    "another algorithm than the document's": (lambda i: i.token(algorithm="RS512"), "algorithm"),
    "a key that is not there": (lambda i: i.token("rsa-2"), "unknown signer"),
    "a key of its own in the header": (
        lambda i: i.token("rsa-2", header={"jwk": jwk("rsa-2"), "jku": f"{i.url}/mine", "x5u": i.url}),
        "unknown signer",
    ),
    "something critical": (lambda i: i.token(header={"crit": ["exp"]}), "malformed token"),
    "an id that is no text": (lambda i: f"{encoded({'alg': 'RS256', 'kid': 7})}.e30.x", "malformed token"),
    "another issuer": (lambda i: i.token(iss="https://evil.example.com"), "issuer"),
    "the issuer with a slash": (lambda i: i.token(iss=f"{i.url}/"), "issuer"),
    "another audience": (lambda i: i.token(aud="billing"), "audience"),
    "audiences without ours": (lambda i: i.token(aud=["billing", "penstock2"]), "audience"),
    "an audience that is none": (lambda i: i.token(aud={"penstock": 1}), "audience"),
    "expired": (lambda i: i.token(exp=int(NOW()) - 31), "expired"),
    "not valid yet": (lambda i: i.token(nbf=int(NOW()) + 600), "not valid yet"),
    "made in the future": (lambda i: i.token(iat=int(NOW()) + 600), "not valid yet"),
    "without an end": (lambda i: i.token(exp=None), "incomplete"),
    "without an issuer": (lambda i: i.token(iss=None), "incomplete"),
    "without an audience": (lambda i: i.token(aud=None), "incomplete"),
    "without a subject": (lambda i: i.token(sub=None), "incomplete"),
    "an end that is no number": (lambda i: i.token(exp="tomorrow"), "malformed token"),
    "an endless end": (lambda i: i.token(exp=float("inf")), "malformed token"),
    "two dots": (lambda _: "..", "malformed token"),
    "words": (lambda _: "a.b.c", "malformed token"),
    "a header that is a list": (lambda _: f"{encoded([])}.e30.x", "malformed token"),
    "a header that is too deep": (lambda _: f"{encoded(b'[' * 5000)}.e30.x", "malformed token"),
    "claims that are a list": (
        lambda _: jwt.PyJWS().encode(b"[]", private_key("rsa-1"), "RS256", {"kid": "rsa-1"}),  # type: ignore[arg-type]
        "malformed token",
    ),
    "a token that is too long": (lambda i: i.token(more="x" * 20_000), "malformed token"),
    "not ASCII": (lambda _: "\xe4.\xe4.\xe4", "malformed token"),
}  # fmt: skip


@pytest.mark.parametrize("way", FORGED)
async def test_a_token_that_is_not_right_gets_in_nowhere(issuer: Issuer, way: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    forge, reason = FORGED[way]
    token = forge(issuer)
    async with world(issuer) as gateway:
        for path in ("/v1/chat/completions", "/v1/models", "/admin/keys"):
            refused(await with_token(gateway, token, path), reason)
        assert gateway.engine.seen == []
        # The gateway goes on.
        assert (await with_token(gateway, issuer.token())).status == 200
    assert "/mine" not in issuer.asked
    assert all(token not in str(vars(record)) for record in caplog.records)


async def test_a_key_that_is_too_short_to_be_safe_is_not_taken():
    async with running_issuer("short-1") as issuer, world(issuer) as gateway:
        with pytest.warns(jwt.InsecureKeyLengthWarning):
            token = issuer.token("short-1")
        assert (await with_token(gateway, token)).status == 401


@pytest.mark.parametrize("shown", [{"use": "enc"}, {"alg": "RS512"}, {"kty": "oct", "k": "c2VjcmV0"}])
async def test_a_key_that_is_for_something_else_checks_no_token(issuer: Issuer, shown: dict[str, Any]):
    issuer.keys = [jwk("p256-1"), jwk("rsa-1", **shown)]
    async with world(issuer) as gateway:
        assert (await with_token(gateway, issuer.token())).status == 401
        assert (await with_token(gateway, issuer.token("p256-1", "ES256"))).status == 200


async def test_a_token_that_names_no_key_is_fine_where_there_is_one_and_refused_where_there_are_two(issuer: Issuer):
    async with world(issuer) as gateway:
        assert (await with_token(gateway, issuer.token(header={"kid": None}))).status == 200
    issuer.keys.append(jwk("rsa-2"))
    async with world(issuer) as gateway:
        refused(await with_token(gateway, issuer.token(header={"kid": None})), "unknown signer")


async def test_the_issuer_s_clock_may_differ_a_little(issuer: Issuer):
    async with world(issuer, leeway="2m") as gateway:
        now = int(time.time())
        assert (await with_token(gateway, issuer.token(exp=now - 60))).status == 200
        assert (await with_token(gateway, issuer.token(nbf=now + 60))).status == 200


CLAIMS = {"owner": "team", "models": "models", "roles": "realm_access.roles", "name": "email"}
MEANINGS = {"team": "owner", "models": "models", "realm_access": "roles", "email": "name"}
GRANTED: dict[str, Any] = {
    "team": "research",
    "models": ["demo"],
    "realm_access": {"roles": ["offline_access", "llm-user"]},
    "email": "alice@example.com",
}
NAMED: dict[str, Any] = {"claims": CLAIMS, "roleNames": {"llm-user": "user", "llm-admin": "admin"}}


async def test_claims_say_which_models_and_which_roles(issuer: Issuer):
    async with world(issuer, **NAMED) as gateway:
        assert (await with_token(gateway, issuer.token(**GRANTED))).status == 200
        answer = await with_token(gateway, issuer.token(**GRANTED | {"models": "other-* x"}))
        assert (answer.status, answer.error["code"]) == (403, "model_not_allowed")
        answer = await with_token(gateway, issuer.token(**GRANTED), "/admin/keys")
        assert (answer.status, answer.error["code"]) == (403, "role_not_allowed")
        admin = issuer.token(**GRANTED | {"realm_access": {"roles": ["llm-admin"]}})
        assert (await with_token(gateway, admin, "/admin/keys")).status == 200
        assert (await with_token(gateway, admin)).error["code"] == "role_not_allowed"


@pytest.mark.parametrize(
    "changes",
    [
        {"team": None}, {"team": ""}, {"team": ["a", "b"]}, {"team": "a b"}, {"team": 7},
        {"models": None}, {"models": []}, {"models": ["[a]"]}, {"models": {"demo": 1}}, {"models": ["a"] * 101},
        {"realm_access": None}, {"realm_access": {}}, {"realm_access": {"roles": ["other"]}}, {"realm_access": "user"},
        {"email": None}, {"email": " "}, {"email": 7},
    ],
    ids=str,
)  # fmt: skip
async def test_a_token_without_a_claim_that_the_document_names_is_refused(issuer: Issuer, changes: dict[str, Any]):
    async with world(issuer, **NAMED) as gateway:
        answer = await with_token(gateway, issuer.token(**GRANTED | changes))
        assert (answer.status, answer.error["code"]) == (403, "claim_missing")
        (changed,) = changes
        assert repr(CLAIMS[MEANINGS[changed]]) in answer.error["message"]
        assert gateway.engine.seen == []


async def test_a_key_that_the_issuer_adds_is_known_at_once_and_one_that_it_takes_back_is_refused_soon(issuer: Issuer):
    now = [0.0]
    async with world(issuer, refresh=60) as gateway:
        tokens = gateway.app._accounts.tokens  # type: ignore[union-attr]
        assert tokens is not None
        tokens._keys._clock = lambda: now[0]
        tokens._keys._asked = 0.0
        old, new = issuer.token(), issuer.token("rsa-2")
        assert (await with_token(gateway, old)).status == 200
        now[0] = 10
        issuer.keys.append(jwk("rsa-2"))
        assert (await with_token(gateway, new)).status == 200
        issuer.keys.pop(0)
        now[0] = 69
        assert (await with_token(gateway, old)).status == 200
        now[0] = 71
        async with asyncio.timeout(60):
            while (await with_token(gateway, old)).status == 200:  # noqa: ASYNC110  # it is asked in the background
                await asyncio.sleep(0.01)
        assert (await with_token(gateway, new)).status == 200


async def test_a_flood_of_unknown_keys_asks_the_issuer_once(issuer: Issuer):
    async with world(issuer) as gateway:
        before = len(issuer.asked)
        made = [issuer.token("rsa-2", header={"kid": f"made-up-{number}"}) for number in range(50)]
        answers = await asyncio.gather(*(with_token(gateway, token) for token in made))
        assert {answer.status for answer in answers} == {401}
        assert len(issuer.asked) - before <= 2, "a look at its page and one at its keys, at most"


async def test_while_the_issuer_is_away_known_keys_go_on_for_a_while_and_others_get_503(issuer: Issuer):
    now = [0.0]
    async with world(issuer, refresh=60, outage=600) as gateway:
        tokens = gateway.app._accounts.tokens  # type: ignore[union-attr]
        assert tokens is not None
        tokens._keys._clock = lambda: now[0]
        tokens._keys._asked = 0.0
        issuer.status = 500
        now[0] = 30
        answer = await with_token(gateway, issuer.token("rsa-2"))
        assert (answer.status, answer.error["code"]) == (503, "issuer_unavailable")
        assert issuer.url in answer.error["message"]
        assert "retry-after" in answer.headers
        now[0] = 600
        assert (await with_token(gateway, issuer.token())).status == 200
        now[0] = 700
        answer = await with_token(gateway, issuer.token())
        assert (answer.status, answer.error["code"]) == (503, "issuer_unavailable")
        assert (await with_token(gateway, KEY)).status == 200, "keys need no issuer"
        issuer.status = 200
        now[0] = 702
        assert (await with_token(gateway, issuer.token())).status == 200


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500}, {"status": 302}, {"keys": []}, {"keys": {}}, {"keys": [jwk("rsa-1", use="enc")]},
        {"says": {"issuer": "https://other.example.com"}}, {"says": {"jwks_uri": None}},
        {"says": {"jwks_uri": "file:///etc/passwd"}},
    ],
    ids=[
        "500", "a redirect", "no keys", "keys are no list", "none for signing", "another issuer", "no address of keys",
        "a file's address",
    ],
)  # fmt: skip
async def test_a_gateway_without_the_issuer_s_keys_is_not_ready_and_says_so(issuer: Issuer, fault: dict[str, Any]):
    right = {name: getattr(issuer, name) for name in fault}
    for name, value in fault.items():
        setattr(issuer, name, value)
    async with world(issuer) as gateway:
        answer = await ask(gateway, get("/readyz"))
        assert answer.status == 503
        assert issuer.url in answer.error["message"]
        assert (await with_token(gateway, issuer.token())).error["code"] == "issuer_unavailable"
        for name, value in right.items():
            setattr(issuer, name, value)
        async with asyncio.timeout(60):
            while (await ask(gateway, get("/readyz"))).status != 200:  # noqa: ASYNC110  # it is tried every second
                await asyncio.sleep(0.02)
        assert (await with_token(gateway, issuer.token())).status == 200


async def test_the_address_of_the_keys_may_be_named_and_then_nothing_else_is_asked(issuer: Issuer):
    issuer.says = {"issuer": "https://other.example.com"}
    async with world(issuer, jwks=f"{issuer.url}/keys") as gateway:
        assert (await with_token(gateway, issuer.token())).status == 200
    assert set(issuer.asked) == {"/keys"}


async def test_without_an_issuer_a_token_is_no_key(issuer: Issuer):
    async with opened({}, {"ci": listed(KEY)}) as accounts, running_gateway(accounts=accounts) as gateway:
        answer = await with_token(gateway, issuer.token())
        assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert issuer.asked == []


async def test_on_an_open_address_a_token_that_is_sent_counts(issuer: Issuer):
    settings = {"oidc": {"issuer": issuer.url, "audience": [AUDIENCE]}, "anonymous": True}
    async with opened(settings) as accounts, running_gateway(accounts=accounts) as gateway:
        assert (await ask(gateway, post(chat()))).status == 200
        assert (await with_token(gateway, "none")).status == 200
        refused(await with_token(gateway, issuer.token(aud="billing")), "audience")


async def test_a_token_and_another_key_are_two(issuer: Issuer):
    async with world(issuer) as gateway:
        headers = [("authorization", f"Bearer {issuer.token()}"), ("x-api-key", KEY)]
        answer = await ask(gateway, post(chat(), headers=headers))
        assert (answer.status, answer.error["code"]) == (400, "ambiguous_credentials")
        assert (await ask(gateway, get(f"/v1/models?access_token={issuer.token()}"))).status == 400


async def test_a_token_in_use_is_checked_once_and_ends_in_time(issuer: Issuer, monkeypatch: pytest.MonkeyPatch):
    async with world(issuer) as gateway:
        tokens = gateway.app._accounts.tokens  # type: ignore[union-attr]
        assert tokens is not None
        checked: list[bytes] = []
        check = tokens._checked

        async def counted(token: bytes) -> Any:
            checked.append(token)
            return await check(token)

        monkeypatch.setattr(tokens, "_checked", counted)
        token = issuer.token()
        for _ in range(3):
            assert (await with_token(gateway, token)).status == 200
        assert len(checked) == 1
        monkeypatch.setattr(tokens, "_wall", lambda: time.time() + 331)
        refused(await with_token(gateway, token), "expired")


async def test_what_is_said_to_be_wrong_with_tokens_is_all_that_can_be(issuer: Issuer):
    assert {reason for _, reason in FORGED.values()} == set(_OF_TOKENS)
