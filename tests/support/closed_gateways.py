"""A gateway that asks for keys, with a key of every kind that there is, good and bad. For the tests of who gets in."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from penstock.accounts import secret
from penstock.accounts.opening import OpenAccounts
from penstock.accounts.records import NewKey, Rotation
from penstock.gateway.catalog import ModelEntry
from support.gateways import Gateway, Response, answers, running_gateway
from support.keys import listed, opened

MODELS = [ModelEntry("demo", ("default",)), ModelEntry("secret-model", ("hidden",)), ModelEntry("org/big")]
ME = "cli:test"


@dataclass
class World:
    """The gateway, and the keys by what is the matter with them."""

    gateway: Gateway
    accounts: OpenAccounts
    user: str
    admin: str
    narrow: str
    disabled: str
    expired: str
    deleted: str
    rotated_away: str
    listed: str
    log: pytest.LogCaptureFixture

    @property
    def keys(self) -> list[str]:
        return [self.user, self.admin, self.narrow, self.disabled, self.expired, self.deleted, self.rotated_away,
                self.listed]  # fmt: skip


@asynccontextmanager
async def closed_gateway(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[World]:
    """At its end no key and no hash stands in the log."""
    caplog.set_level(logging.DEBUG)
    in_list = secret.new_key()
    settings = {"database": {"sqlite": str(tmp_path / "accounts.db")}}
    async with opened(settings, {"listed": listed(in_list, models=["demo"])}) as accounts:
        service = accounts.service

        async def make(name: str, **more: object) -> str:
            return (await service.create(NewKey(name=name, **more), actor=ME)).key.get_secret_value()  # type: ignore[arg-type]

        made = World(
            gateway=None,  # type: ignore[arg-type]
            accounts=accounts,
            user=await make("user"),
            admin=await make("admin", roles=["admin"]),
            narrow=await make("narrow", models=["demo"]),
            disabled=await make("disabled"),
            expired=await make("expired", expires=datetime.now(UTC) - timedelta(seconds=1)),
            deleted=await make("deleted"),
            rotated_away=await make("rotated"),
            listed=in_list,
            log=caplog,
        )
        await service.disable("disabled", actor=ME)
        await service.delete("deleted", actor=ME)
        await service.rotate("rotated", Rotation(overlap=0), actor=ME)
        async with running_gateway(answers, models=MODELS, accounts=accounts) as gateway:
            made.gateway = gateway
            yield made
        for key in made.keys:
            for record in caplog.records:
                assert key not in str(vars(record)), "a key stands in the log"
                assert secret.digest(key.encode()).hex() not in str(vars(record)), "a hash stands in the log"


def bearer(key: str) -> list[tuple[str, str]]:
    """Header lines with a key."""
    return [("authorization", f"Bearer {key}")]


def refused(answer: Response, status: int, code: str) -> None:
    """Asserts that a request was, so and for this."""
    assert (answer.status, answer.error["code"]) == (status, code), answer.body
    assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
