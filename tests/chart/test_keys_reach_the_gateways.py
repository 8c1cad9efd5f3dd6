"""A release asks for keys unless its values say otherwise: it makes the first ones, and gateways read keys and the
addresses of stores from Secrets by name."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import pytest

from penstock.accounts import secret
from penstock.accounts.listed import accounts_of, read_file
from penstock.config.accounts import Accounts
from penstock.gateway.spec import GatewaySpec
from support.chart_values import ONE_MODEL
from support.charts import CHART, Rendered, render, templated
from support.kubernetes_objects import pod, pods
from support.quiet_server import QuietHandler, QuietServer, served

OPEN: dict[str, Any] = ONE_MODEL | {"accounts": {"anonymous": True}}
HASH = "sha256:" + "0" * 64
SECRETS: dict[str, Any] = {
    "keys": {"name": "our-keys", "key": "list"},
    "database": {"name": "our-database", "key": "url"},
    "redis": {"name": "our-redis", "key": "url"},
}


@pytest.fixture(scope="module")
def plain() -> Rendered:
    return render(ONE_MODEL)


def _keys(rendered: Rendered) -> dict[str, str]:
    data: dict[str, str] = rendered.of("Secret", "test-penstock-keys")["stringData"]
    return data


def _told(rendered: Rendered) -> GatewaySpec:
    return GatewaySpec.model_validate(rendered.serve_config["applications"][-1]["args"])


def test_an_install_without_a_word_on_keys_is_closed(plain: Rendered) -> None:
    assert _told(plain).accounts.asks_for_keys
    assert _told(plain).accounts.database is None


def test_the_first_keys_are_keys_of_ours_and_let_an_admin_and_a_user_in(plain: Rendered, tmp_path: Path) -> None:
    keys = _keys(plain)
    assert secret.is_whole(keys["admin-key"].encode())
    assert secret.is_whole(keys["user-key"].encode())
    (tmp_path / "keys.yaml").write_text(keys["keys.yaml"], encoding="utf-8")
    accounts = accounts_of(read_file(tmp_path / "keys.yaml"), "file")
    roles = {name: accounts[secret.digest(keys[f"{name}-key"].encode())].roles for name in ("admin", "user")}
    assert roles == {"admin": {"admin"}, "user": {"user"}}
    assert len(accounts) == 2


def test_the_first_keys_are_other_ones_in_every_release(plain: Rendered) -> None:
    before = _keys(plain)
    templated.cache_clear()
    after = _keys(render(ONE_MODEL))
    assert not set(before.values()) & set(after.values())


def test_no_key_and_no_hash_stands_anywhere_else(plain: Rendered) -> None:
    keys = _keys(plain)
    words = [keys["admin-key"], keys["user-key"]]
    words += [hashlib.sha256(word.encode()).hexdigest() for word in words]
    others = str([thing for thing in plain.objects if thing["kind"] != "Secret"])
    assert not [word for word in words if word in others]


def test_another_rendering_changes_nothing_that_ray_looks_at(plain: Rendered) -> None:
    templated.cache_clear()
    assert render(ONE_MODEL).of("RayService") == plain.of("RayService")


def test_gateways_read_the_list_of_the_secret_and_not_its_keys(plain: Rendered) -> None:
    gateway = pod(plain, "gateway")
    volume = gateway.volumes["accounts-keys"]["secret"]
    assert volume == {"secretName": "test-penstock-keys", "items": [{"key": "keys.yaml", "path": "keys.yaml"}]}
    path = PurePosixPath(gateway.mounts["accounts-keys"]["mountPath"]) / "keys.yaml"
    assert _told(plain).accounts.keys_file == str(path)
    # A single file would stay what it was when the Secret changes.
    assert "subPath" not in gateway.mounts["accounts-keys"]


def test_secrets_by_name_are_mounted_in_gateways_alone_whatever_their_keys_are_called() -> None:
    rendered = render(ONE_MODEL | {"secrets": SECRETS})
    gateway, accounts = pod(rendered, "gateway"), _told(rendered).accounts
    assert accounts.database is not None
    assert accounts.limits.redis is not None
    told = {"keys": accounts.keys_file, "database": accounts.database.file, "redis": accounts.limits.redis.file}
    for kind, path in told.items():
        place = PurePosixPath(str(path))
        assert gateway.mounts[f"accounts-{kind}"] == {"mountPath": str(place.parent), "readOnly": True}
        given = SECRETS[kind]
        items = [{"key": given["key"], "path": place.name}]
        assert gateway.volumes[f"accounts-{kind}"] == {"secret": {"secretName": given["name"], "items": items}}
    others = [str(each.template) for each in pods(rendered) if each.name != "gateway"]
    assert not [name for name in ("our-keys", "our-database", "our-redis") for text in others if name in text]


@pytest.mark.parametrize(
    ("values", "made"),
    [
        ({}, True),
        ({"secrets": {"database": {"name": "pg"}}}, True),
        ({"accounts": {"keys": {"a": {"hashes": [HASH]}}}}, True),
        ({"accounts": {"anonymous": True}, "secrets": {"database": {"name": "pg"}}}, True),
        ({"accounts": {"anonymous": True}}, False),
        ({"secrets": {"keys": {"name": "ours"}}}, False),
        ({"accounts": {"keysFile": "/k.yaml"}}, False),
        ({"firstKeys": {"create": False}, "secrets": {"database": {"name": "pg"}}}, False),
    ],
    ids=str,
)
def test_first_keys_are_made_where_nobody_else_lists_any_and_somebody_needs_one(
    values: dict[str, Any], made: bool
) -> None:
    rendered = render(ONE_MODEL | values)
    assert bool(rendered.all_of("Secret")) is made
    assert ("test-penstock-keys" in str(pod(rendered, "gateway").template)) is made


def test_an_open_address_has_no_key_and_no_secret() -> None:
    rendered = render(OPEN)
    assert _told(rendered).accounts == Accounts()
    assert "accounts-" not in str(pod(rendered, "gateway").template)
    assert pod(rendered, "test").env == {"ASKS_FOR_KEYS": ""}


def test_a_listed_key_is_taken_over_in_place() -> None:
    before = render(ONE_MODEL | {"accounts": {"keys": {"a": {"hashes": [HASH]}}}})
    after = render(
        ONE_MODEL | {"accounts": {"keys": {"a": {"hashes": [HASH]}, "b": {"hashes": ["sha256:" + "1" * 64]}}}}
    )
    (old,), (new,) = (each.serve_config["applications"][-1]["deployments"] for each in (before, after))
    assert set(new["user_config"]["keys"]) == {"a", "b"}
    assert {key for key in new if new[key] != old[key]} == {"user_config"}
    args = [each.serve_config["applications"][-1]["args"] for each in (before, after)]
    assert args[0] == args[1]
    assert after.cluster == before.cluster


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({}, {"name": "test-penstock-keys", "key": "user-key"}),
        ({"secrets": {"test": {"name": "mine"}}}, {"name": "mine", "key": "user-key"}),
        ({"secrets": {"keys": {"name": "ours"}}}, None),
        ({"secrets": {"keys": {"name": "ours"}, "test": {"name": "mine", "key": "k"}}}, {"name": "mine", "key": "k"}),
    ],
    ids=str,
)
def test_helm_test_asks_with_a_users_key_where_it_has_one(values: dict[str, Any], key: dict[str, str] | None) -> None:
    env = pod(render(ONE_MODEL | values), "test").env
    assert env["ASKS_FOR_KEYS"] == "yes"
    assert env.get("KEY") == (None if key is None else {"valueFrom": {"secretKeyRef": key}})


class _Gateway(QuietHandler):
    """Answers as a gateway does, and asks for a key or not."""

    closed: ClassVar[bool] = True

    def do_GET(self) -> None:
        if self.closed and self.path != "/readyz" and self.headers.get("authorization") != "Bearer right":
            self.send_error(401)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"data": [{"id": "demo"}]}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()


@pytest.fixture
def gateway() -> Iterator[str]:
    with served(QuietServer(("127.0.0.1", 0), _Gateway)) as address:
        yield address


@pytest.mark.integration
@pytest.mark.parametrize(
    ("closed", "asks", "key", "code", "said"),
    [
        (True, "yes", "right", 0, "ok    demo answers"),
        (True, "yes", "", 0, "no model was asked"),
        (False, "", "", 0, "ok    demo answers"),
        (False, "yes", "right", 1, "answers without a key"),
        (True, "yes", "wrong", 1, "401"),
    ],
)
def test_what_helm_test_runs_finds_a_closed_address_closed_and_its_models_there(
    gateway: str, monkeypatch: pytest.MonkeyPatch, closed: bool, asks: str, key: str, code: int, said: str
) -> None:
    monkeypatch.setattr(_Gateway, "closed", closed)
    script = (CHART / "files" / "ask.py").read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", script, gateway, "demo"],
        env={**os.environ, "ASKS_FOR_KEYS": asks, "KEY": key, "no_proxy": "*"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
