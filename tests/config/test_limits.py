"""`accounts.limits`: what is refused, and with what words."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.config.loading import load
from penstock.errors import DocumentError

MODELS = "models: {qwen: {engine: simulator, aliases: [default]}}\n"


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("models: {qwem: {requestsPerMinute: 5}}", "'qwem' is no key of models; did you mean 'qwen'?"),
        ("models: {default: {requestsPerMinute: 5}}", "'default' is an alias of 'qwen'; write the model's own name"),
        ("prices: {other: {prompt: 1}}", "'other' is no key of models"),
        ("everyKey: {moneyPerDay: 5}", "no model has a price"),
        ("everyKey: {requestsPerMinute: 0}", "accounts.limits.everyKey.requestsPerMinute"),
        ("everyKey: {requestPerMinute: 5}", "requestsPerMinute"),
        ("teams: {'-': {requestsPerMinute: 5}}", "'-' is no owner"),
        ("redis: {}", "exactly one of env and file is needed"),
        ("withoutRedis: open", "perGateway"),
    ],
)
def test_what_makes_no_sense_is_refused(limits: str, said: str, tmp_path: Path):
    path = tmp_path / "penstock.yaml"
    path.write_text(f"{MODELS}accounts: {{limits: {{{limits}}}}}\n")
    with pytest.raises(DocumentError) as error:
        load([path])
    assert said in str(error.value)


def test_a_document_with_all_of_it(tmp_path: Path):
    path = tmp_path / "penstock.yaml"
    path.write_text(
        f"""{MODELS}
accounts:
  limits:
    everyKey: {{requestsPerMinute: 60, share: 2}}
    teams: {{research: {{moneyPerMonth: 100}}}}
    models: {{qwen: {{requestsAtOnce: 32}}}}
    prices: {{qwen: {{prompt: 0.2, completion: 0.8, cached: 0.05}}}}
    redis: {{env: REDIS}}
    withoutRedis: perGateway
"""
    )
    limits = load([path]).accounts.limits
    assert (limits.every_key.requests_per_minute, limits.every_key.share) == (60, 2)
    assert limits.prices["qwen"].cached == 0.05
    assert not limits.is_empty
