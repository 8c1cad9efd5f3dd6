"""docs/limits.md names documents, limits and answers that there are."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from penstock.accounts.limits.counters import BUCKETS, LEASE, RENEW
from penstock.accounts.limits.estimate import BYTES_PER_TOKEN, USUAL_ANSWER
from penstock.config import Document
from penstock.config.keys import keys_of
from penstock.config.limits import KeyLimits

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "limits.md").read_text()
API = (ROOT / "docs" / "api.md").read_text()


def test_its_documents_are_valid():
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert blocks
    for block in blocks:
        Document.model_validate(yaml.safe_load(block))


def test_it_names_every_limit():
    assert {name for name in keys_of(KeyLimits) if f"`{name}`" not in PAGE} == set()


def test_its_answers_are_those_of_the_api():
    codes = set(re.findall(r"[0-9]{3} `([a-z_]+)`", PAGE))
    assert codes
    assert {code for code in codes if f"`{code}`" not in API} == set()


def test_its_numbers_are_those_of_the_code():
    assert f"one part in {BUCKETS}" in PAGE
    assert f"after\n  {LEASE:g} seconds" in PAGE
    assert f"within {RENEW:g} seconds" in PAGE
    assert BYTES_PER_TOKEN == 4
    assert "one for each four bytes" in PAGE
    assert f"{USUAL_ANSWER} where the request does not say" in PAGE
