"""A gateway with a model of its own, `demo`, and providers beside it, on loopback. For tests of providers."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import orjson

from penstock.accounts.limits.opening import OpenLimits
from penstock.accounts.opening import OpenAccounts
from penstock.config.fallback import Fallback
from penstock.config.providers import Provider
from penstock.gateway.catalog import Catalog, ModelEntry, ModelState
from support.gateways import Behaviour, FakeEngine, Gateway, answers, running_gateway

KEY = "sk-cloud-0123456789abcdef"
VARIABLE = "TEST_PROVIDER_KEY"
SLEEPS = {"hold": {"requests": 0}, "connectTimeout": 1}
"""Settings of a gateway that lets nobody wait."""


@dataclass
class Doors:
    """A gateway and the provider `cloud`, which serves `big` as `vendor/big-1`; `demo` falls back to it."""

    gateway: Gateway
    cloud: FakeEngine

    @property
    def sent(self) -> list[Any]:
        """The bodies that the provider got."""
        return [orjson.loads(seen.body) for seen in self.cloud.seen]

    def tell(self, **provider: Any) -> None:
        """Change the provider's settings."""
        tell(self.gateway, self.cloud.replica.base_url, **provider)

    def sleep(self) -> None:
        """The gateway's own model has no replica any more."""
        self.gateway.source.there.clear()


def tell(gateway: Gateway, url: str, *, when: list[str] | None = None, **provider: Any) -> None:
    """Give a gateway the provider at an address."""
    settings = {
        "baseUrl": f"{url}/v1",
        "key": {"env": VARIABLE},
        "models": {"big": {"model": "vendor/big-1", "aliases": ["largest"]}},
        **provider,
    }
    gateway.app.replace_providers({"cloud": Provider.model_validate(settings)})
    fallback = Fallback.model_validate({"to": "big", **({"when": when} if when else {})})
    gateway.app.reconfigure(
        Catalog(
            [ModelEntry("demo", ("default",), state=ModelState(known=True), fallback=fallback), ModelEntry("alone")]
        )
    )


@asynccontextmanager
async def doors(
    cloud: Behaviour = answers,
    *engines: Behaviour,
    settings: Mapping[str, Any] | None = None,
    accounts: OpenAccounts | None = None,
    limits: OpenLimits | None = None,
    **provider: Any,
) -> AsyncIterator[Doors]:
    """`provider`: its settings, as in documents. The variable of its key has to be set."""
    fake = FakeEngine(cloud)
    await fake.start()
    try:
        async with running_gateway(
            *engines, settings=dict(settings or {}), accounts=accounts, limits=limits
        ) as gateway:
            both = Doors(gateway, fake)
            both.tell(**provider)
            yield both
            gateway.source.there.set()
    finally:
        await fake.stop()


@dataclass
class TlsEngine(FakeEngine):
    """One that speaks TLS, with a certificate that it signed itself for 127.0.0.1."""

    context: ssl.SSLContext | None = None

    async def start(self) -> None:
        import asyncio

        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.context)
        self.port = self._server.sockets[0].getsockname()[1]


def self_signed(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """The file of a certificate for 127.0.0.1, and what a server needs to show it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a provider of tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    shown, secret = folder / "certificate.pem", folder / "key.pem"
    shown.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(shown, secret)
    return shown, context
