"""From the claims of a token that is right to an account: by the document's names, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from penstock.accounts.account import Account
from penstock.accounts.errors import TokenClaimsError
from penstock.accounts.oidc_claims import account_of, claim
from penstock.config.accounts import LONGEST_NAME
from penstock.config.grants import MOST_PATTERNS, checked_pattern
from penstock.config.oidc import Oidc
from penstock.config.owners import checked_owner

ISSUER = "https://login.example.com/realms/llm"
LEAST: dict[str, Any] = {"issuer": ISSUER, "audience": ["penstock"]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inside: st.lists(inside, max_size=5) | st.dictionaries(st.text(max_size=5), inside, max_size=5),
    max_leaves=10,
)


def settings(**more: Any) -> Oidc:
    return Oidc.model_validate(LEAST | more)


def account(said: dict[str, Any], **more: Any) -> Account:
    return account_of({"sub": "alice", "exp": 1000, **said}, settings(**more))


def test_a_document_that_names_no_claim_says_itself_what_tokens_may():
    made = account({}, owner="research", models=["qwen*"], roles=["user", "admin"], leeway=30)
    assert (made.name, made.owner, made.models, made.until) == ("alice", "research", ("qwen*",), 1030)
    assert made.roles == {"user", "admin"}


def test_an_id_is_the_same_for_all_tokens_of_a_subject_and_tells_no_name():
    one, again = account({}), account({"exp": 5000, "email": "x"})
    assert one.id == again.id
    assert "alice" not in one.id
    others = {account({"sub": "bob"}).id, account({}, issuer=f"{ISSUER}/").id}
    assert len({one.id, *others}) == 3


@pytest.mark.parametrize(
    ("claims", "name", "found"),
    [
        ({"roles": 1}, "roles", 1),
        ({"realm": {"roles": [1]}}, "realm.roles", [1]),
        ({"https://example.com/roles": 1}, "https://example.com/roles", 1),
        ({"a.b": 1, "a": {"b": 2}}, "a.b", 1),
        ({"a": {"b": {"c": 3}}}, "a.b.c", 3),
        ({"a": [1]}, "a.0", None),
        ({"a": None}, "a.b", None),
        ({}, "a", None),
        ({"": {"": 1}}, ".", 1),
    ],
)
def test_a_claim_is_found_by_its_name_or_its_path(claims: dict[str, Any], name: str, found: Any):
    assert claim(claims, name) == found


def test_a_team_may_stand_in_a_list_of_one_and_roles_in_a_text_with_blanks():
    claims = {"groups": ["research"], "scope": "openid admin user"}
    made = account(claims, claims={"owner": "groups", "roles": "scope"})
    assert made.owner == "research"
    assert made.roles == {"admin", "user"}


def test_names_are_made_fit_for_logs():
    made = account({"n": f" Alice\n\x1b[31m{'x' * 500}"}, claims={"name": "n"})
    assert made.name.startswith("Alice[31mx")
    assert len(made.name) == LONGEST_NAME


@given(team=JSON, models=JSON, roles=JSON, name=JSON, expires=st.integers(min_value=1, max_value=10**400))
def test_whatever_the_claims_hold_an_account_is_sound_or_refused(
    team: Any, models: Any, roles: Any, name: Any, expires: int
):
    claims = {"team": team, "models": models, "roles": roles, "name": name, "exp": expires}
    named = {"owner": "team", "models": "models", "roles": "roles", "name": "name"}
    try:
        made = account(claims, claims=named)
    except TokenClaimsError:
        return
    assert checked_owner(made.owner)
    assert all(checked_pattern(pattern) for pattern in made.models)
    assert 1 <= len(made.models) <= MOST_PATTERNS
    assert made.roles
    assert made.name.isprintable()
    assert made.until is not None


@given(wrong=st.sampled_from(["team", "models", "roles", "name"]), value=JSON)
def test_what_is_refused_is_not_repeated(wrong: str, value: Any):
    right: dict[str, Any] = {"team": "a", "models": "m", "roles": "user", "name": "n"}
    named = {"owner": "team", "models": "models", "roles": "roles", "name": "name"}
    try:
        account(right | {wrong: value}, claims=named)
    except TokenClaimsError as error:
        assert str(error).startswith(f"The token's claim {wrong!r} holds not what is needed here: ")  # noqa: PT017


@pytest.mark.parametrize(
    "more",
    [
        {"issuer": "login.example.com"},
        {"issuer": "https://user:password@login.example.com"},
        {"issuer": "https://login.example.com?x=1"},
        {"audience": []},
        {"audience": [""]},
        {"algorithms": []},
        {"algorithms": ["none"]},
        {"algorithms": ["HS256"]},
        {"algorithms": ["RS256", "RS256"]},
        {"roleNames": {"x": "root"}},
        {"leeway": "6m"},
        {"refresh": 0},
        {"jwks": "file:///keys"},
        {"claims": {"nme": "x"}},
    ],
)
def test_a_document_that_makes_no_sense_is_refused(more: dict[str, Any]):
    with pytest.raises(ValidationError):
        settings(**more)
