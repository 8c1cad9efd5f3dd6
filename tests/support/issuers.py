"""An OpenID Connect issuer on loopback, with real keys, which can rotate them and go away. For tests of tokens."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "penstock"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@cache
def private_key(name: str) -> PrivateKey:
    """A key by its name, which begins with its kind: `rsa-1`, `p256-1`, `p384-1`, `ed-1`, `short-1` (too short)."""
    kind = name.partition("-")[0]
    if kind == "ed":
        return ed25519.Ed25519PrivateKey.generate()
    if kind in ("rsa", "short"):
        return rsa.generate_private_key(public_exponent=65537, key_size=2048 if kind == "rsa" else 1024)
    return ec.generate_private_key({"p256": ec.SECP256R1(), "p384": ec.SECP384R1()}[kind])


def jwk(name: str, **more: Any) -> dict[str, Any]:
    """The public half of a key, as an issuer shows it under its name."""
    public = private_key(name).public_key()
    if isinstance(public, rsa.RSAPublicKey):
        made = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        made = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        made = OKPAlgorithm.to_jwk(public, as_dict=True)
    return {key: value for key, value in made.items() if key != "key_ops"} | {"kid": name, "use": "sig", **more}


def encoded(value: Any) -> str:
    """A part of a token."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Issuer:
    """What it shows, and who asked. `keys` are JWKs; `status` other than 200 is what all its addresses answer."""

    def __init__(self, keys: list[dict[str, Any]]) -> None:
        self.keys = keys
        self.status = 200
        self.asked: list[str] = []
        self.url = ""
        self.says: dict[str, Any] = {}
        """What stands in its discovery document instead."""

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Those of a token that is fine. None takes one away."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "alice", "iat": now, "nbf": now, "exp": now + 300}
        return {name: value for name, value in (usual | changes).items() if value is not None}

    def token(
        self, key: str = "rsa-1", algorithm: str = "RS256", header: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        """A token that the issuer signs with a key, whether it shows that or not."""
        headers = {"kid": key} | (header or {})
        signer: Any = private_key(key)
        return jwt.encode(
            self.claims(**changes), signer, algorithm, {k: v for k, v in headers.items() if v is not None}
        )

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if self.status != 200:
            return web.Response(status=self.status, headers={"location": f"{self.url}/keys?"})
        if request.path == "/keys":
            return web.json_response({"keys": self.keys})
        if request.path == "/.well-known/openid-configuration":
            return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"} | self.says)
        return web.Response(status=404)


@asynccontextmanager
async def running_issuer(*keys: str) -> AsyncIterator[Issuer]:
    """An issuer that answers. It shows the public halves of these keys."""
    issuer = Issuer([jwk(key) for key in keys or ("rsa-1",)])
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", issuer.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield issuer
    finally:
        await runner.cleanup()
