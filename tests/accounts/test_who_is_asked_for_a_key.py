"""When keys are asked for, where none may be, and what the gateways are told of it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from penstock.assembly.serve_config import Placement, serve_config
from penstock.config import Document
from penstock.config.accounts import Accounts, Database
from penstock.config.addresses import is_loopback
from penstock.errors import DocumentError
from penstock.gateway.spec import GatewayRoutes, GatewaySpec

HASH = "sha256:" + "0" * 64
KEYS = {"ci": {"hashes": [HASH]}}


def document(accounts: dict[str, Any] | None = None, host: str = "127.0.0.1") -> Document:
    return Document.model_validate(
        {"models": {"demo": {"engine": "simulator"}}, "gateway": {"host": host}, "accounts": accounts or {}}
    )


def told(accounts: dict[str, Any] | None = None, placement: Placement = Placement.LOCAL) -> tuple[Any, Any]:
    """Arguments and routes of the gateway, as they are written."""
    application = serve_config(document(accounts), placement)["applications"][-1]
    return application["args"], application["deployments"][0]["user_config"]


@pytest.mark.parametrize(
    ("accounts", "asks"),
    [
        ({}, False),
        ({"anonymous": True}, False),
        ({"anonymous": False}, True),
        ({"keys": KEYS}, True),
        ({"keysFile": "/keys.yaml"}, True),
        ({"database": {}}, True),
        ({"database": {"env": "X"}, "anonymous": True}, False),
        ({"keys": KEYS, "anonymous": False}, True),
    ],
)
def test_keys_are_asked_for_where_the_document_knows_any_or_says_so(accounts: dict[str, Any], asks: bool):
    assert Accounts.model_validate(accounts).asks_for_keys is asks


@pytest.mark.parametrize(
    ("accounts", "store"),
    [
        ({}, None),
        ({"anonymous": True}, None),
        ({"anonymous": False}, Database()),
        ({"anonymous": False, "keys": KEYS}, None),
        ({"database": {}}, Database()),
        ({"database": {"env": "X"}, "keys": KEYS}, Database(env="X")),
    ],
)
def test_the_store_is_what_is_named_or_the_default_where_keys_must_come_from_somewhere(
    accounts: dict[str, Any], store: Database | None
):
    assert Accounts.model_validate(accounts).store == store


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "gateway.example.com"])
def test_an_open_address_for_other_machines_is_refused_with_the_reason(host: str):
    with pytest.raises(DocumentError) as caught:
        serve_config(document(host=host), Placement.LOCAL)
    assert host in caught.value.message
    assert "accounts.anonymous=false" in str(caught.value)
    assert "accounts.anonymous=true" in str(caught.value)


@pytest.mark.parametrize("accounts", [{"anonymous": True}, {"anonymous": False}, {"keys": KEYS}, {"database": {}}])
def test_an_address_for_other_machines_is_fine_once_the_document_says_who_may(accounts: dict[str, Any]):
    serve_config(document(accounts, "0.0.0.0"), Placement.LOCAL)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost", "LOCALHOST."])
def test_this_machine_alone_may_be_open(host: str):
    assert is_loopback(host)
    serve_config(document(host=host), Placement.LOCAL)


def test_a_cluster_is_told_of_nothing_that_the_document_does_not_say():
    args, routes = told(placement=Placement.CLUSTER)
    assert "accounts" not in args
    assert "keys" not in routes
    assert GatewaySpec.model_validate(args).accounts.anonymous is None


@pytest.mark.parametrize("accounts", [{"anonymous": False}, {"database": {}}])
def test_gateways_of_a_cluster_cannot_have_a_store_each(accounts: dict[str, Any]):
    with pytest.raises(DocumentError, match="each gateway of a cluster would have its own"):
        told(accounts, Placement.CLUSTER)


@pytest.mark.parametrize("placement", list(Placement))
@pytest.mark.parametrize(
    "accounts", [{"keys": KEYS}, {"keysFile": "/keys.yaml"}, {"database": {"env": "X"}}, {"database": {"file": "/x"}}]
)
def test_a_gateway_that_is_told_of_keys_asks_for_them(accounts: dict[str, Any], placement: Placement):
    args, routes = told(accounts, placement)
    spec = GatewaySpec.model_validate(args)
    assert spec.accounts.anonymous is False
    assert spec.accounts.asks_for_keys
    assert spec.accounts.keys == {}
    assert GatewayRoutes.model_validate(routes).keys == document(accounts).accounts.keys


def test_without_its_keys_a_gateway_still_opens_no_store_that_nobody_named():
    args, _ = told({"keys": KEYS})
    assert GatewaySpec.model_validate(args).accounts.database is None


def test_another_key_changes_what_is_taken_over_in_place_alone():
    one, other = told({"keys": KEYS}), told({"keys": {**KEYS, "other": {"hashes": ["sha256:" + "1" * 64]}}})
    assert one[0] == other[0]
    assert one[1] != other[1]


def test_anonymous_use_beside_keys_is_passed_on():
    args, routes = told({"anonymous": True, "keys": KEYS})
    assert GatewaySpec.model_validate(args).accounts.anonymous is True
    assert set(routes["keys"]) == {"ci"}


def test_anonymous_use_without_keys_costs_nothing():
    args, _ = told({"anonymous": True})
    assert "accounts" not in args


@pytest.mark.parametrize(
    "accounts",
    [
        {"database": {"env": "A", "file": "/b"}},
        {"database": {"env": "postgresql://u:p@h/d"}},
        {"recheck": 5.1},
        {"recheck": 0},
        {"keysFile": "relative.yaml"},
        {"keys": {"": {"hashes": [HASH]}}},
    ],
)
def test_what_cannot_be_is_refused(accounts: dict[str, Any]):
    with pytest.raises(ValidationError):
        Accounts.model_validate(accounts)
