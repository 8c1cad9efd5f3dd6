"""Patterns of models, and when an account ends."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.accounts.account import Account
from penstock.config.grants import checked_pattern


def account(*models: str, **more: object) -> Account:
    return Account(id="k", name="k", owner="o", models=models or ("*",), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("patterns", "asked", "model", "may"),
    [
        (["*"], "anything", "anything", True),
        (["qwen3-8b"], "qwen3-8b", "qwen3-8b", True),
        (["qwen3-8b"], "qwen3-8b-extra", "qwen3-8b-extra", False),
        (["qwen*"], "qwen3-8b", "qwen3-8b", True),
        (["*-8b"], "qwen3-8b", "qwen3-8b", True),
        (["qwen?-8b"], "qwen3-8b", "qwen3-8b", True),
        (["qwen?-8b"], "qwen33-8b", "qwen33-8b", False),
        (["org/*"], "org/model", "org/model", True),
        (["Qwen*"], "qwen3-8b", "qwen3-8b", False),
        (["qwen3.8b"], "qwen3-8b", "qwen3-8b", False),
        (["llama", "qwen*"], "qwen3-8b", "qwen3-8b", True),
        # A pattern of the model's own name allows its aliases; one of an alias allows nothing but that alias.
        (["qwen*"], "default", "qwen3-8b", True),
        (["default"], "default", "qwen3-8b", True),
        (["default"], "qwen3-8b", "qwen3-8b", False),
        (["default"], "other-alias", "qwen3-8b", False),
    ],
)
def test_a_pattern_allows_what_it_says(patterns: list[str], asked: str, model: str, may: bool):
    assert account(*patterns).may_use(asked, model) is may


PATTERNS = st.text("ab*?./-", min_size=1, max_size=12).filter(lambda text: text[0] not in "./-")
NAMES = st.text("ab./-", max_size=12)


@given(PATTERNS, NAMES)
def test_a_pattern_means_what_it_means_in_a_shell(pattern: str, name: str):
    assert account(pattern).may_use(name, name) == fnmatch.fnmatchcase(name, checked_pattern(pattern))


def test_a_pattern_of_many_stars_takes_no_time():
    # Backtracking would take longer than the time that a test has.
    assert not account("*a" * 60).may_use("a" * 59 + "b" * 69, "b")


@pytest.mark.parametrize("pattern", ["", "[ab]", "a b", "a\n", "-a", "ä", "a" * 129, "{a}", "a|b", "a,b"])
def test_what_is_no_pattern_is_refused(pattern: str):
    with pytest.raises(ValueError, match="no pattern of models"):
        checked_pattern(pattern)


def test_an_account_ends_at_its_end_and_not_before():
    ending = account(until=100.0)
    assert ending.refusal_at(99.9) is None
    assert ending.refusal_at(100.0) == "expired"
    assert account().refusal_at(1e12) is None
    assert account(disabled=True, until=1.0).refusal_at(0.0) == "disabled"
