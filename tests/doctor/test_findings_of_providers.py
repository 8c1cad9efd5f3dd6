"""What the doctor says of providers, and that it tells nobody their keys."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penstock.config import Document
from penstock.doctor.facts import Facts, SeenProvider
from penstock.doctor.findings import Finding, Level
from penstock.doctor.probes.providers import providers
from support.gateways import Behaviour, FakeEngine, head, refuses, says
from support.machines import examine, machine

KEY = "sk-of-the-doctor"
VARIABLE = "TEST_DOCTOR_KEY"


def document(url: str = "https://cloud.example/v1", **more: Any) -> Document:
    settings = {"baseUrl": url, "key": {"env": VARIABLE}, "models": {"big": {"model": "big-1"}}, **more}
    return Document.model_validate({"providers": {"cloud": settings}})


def found(seen: SeenProvider | None, given: Document | None = None) -> list[Finding]:
    facts: Facts = machine(document=given or document(), providers=() if seen is None else (seen,))
    return [finding for finding in examine(facts) if finding.subject == "provider cloud"]


@pytest.mark.parametrize(
    ("seen", "level", "words"),
    [
        (None, Level.SKIPPED, "not looked at"),
        (SeenProvider("cloud"), Level.SKIPPED, "nobody was asked"),
        (SeenProvider("cloud", key_error="the variable X is empty"), Level.PROBLEM, "the variable X is empty"),
        (SeenProvider("cloud", error="unreachable: no such name"), Level.PROBLEM, "no such name"),
        (SeenProvider("cloud", status=401), Level.PROBLEM, "does not accept"),
        (SeenProvider("cloud", status=308), Level.PROBLEM, "sends elsewhere"),
        (SeenProvider("cloud", status=404), Level.WARNING, "lists no models"),
        (SeenProvider("cloud", status=503), Level.WARNING, "503"),
        (SeenProvider("cloud", status=200, models=frozenset({"other"})), Level.WARNING, "does not list big-1"),
        (SeenProvider("cloud", status=200, models=frozenset({"big-1"})), Level.OK, "accepts us"),
        (SeenProvider("cloud", status=200), Level.OK, "accepts us"),
    ],
)
def test_each_state_of_a_provider_is_told(seen: SeenProvider | None, level: Level, words: str):
    (finding,) = found(seen)
    assert (finding.level, words in finding.found) == (level, True)
    if level in (Level.PROBLEM, Level.WARNING):
        assert finding.remedy


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://cloud.example/v1", True),
        ("http://cloud.example:8000", True),
        ("http://127.0.0.1:8000/v1", False),
        ("http://[::1]:8000/v1", False),
        ("http://localhost/v1", False),
        ("https://cloud.example/v1", False),
    ],
)
def test_a_key_that_everybody_on_the_way_can_read_is_told(url: str, warned: bool):
    findings = found(SeenProvider("cloud", status=200), document(url))
    assert any("unencrypted" in finding.found for finding in findings) is warned
    assert not any("unencrypted" in each.found for each in found(SeenProvider("cloud"), document(url, key=None)))


def test_a_document_without_providers_has_nothing_to_tell():
    assert found(None, Document()) == []


async def probed(behaviour: Behaviour, **more: Any) -> tuple[SeenProvider, FakeEngine]:
    fake = FakeEngine(behaviour)
    await fake.start()
    try:
        given = document(f"{fake.replica.base_url}/v1", **more)
        (seen,) = await asyncio.to_thread(providers, given, offline=False, limit=30)
        return seen, fake
    finally:
        await fake.stop()


@pytest.mark.integration
async def test_a_provider_is_asked_for_its_models_with_its_key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLE, KEY)
    seen, fake = await probed(refuses(200, b'{"data":[{"id":"models/big-1"},{"id":"b"}]}'))
    assert seen == SeenProvider("cloud", status=200, models=frozenset({"big-1", "b"}))
    [request] = fake.seen
    assert (request.method, request.target) == ("GET", "/v1/models")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    seen, _ = await probed(refuses(200, b"[]"))
    assert (seen.status, seen.models) == (200, None)
    seen, _ = await probed(says(head(302, [("location", "http://127.0.0.1:1/"), ("content-length", "0")])))
    assert seen.status == 302


@pytest.mark.integration
async def test_a_key_that_is_missing_and_a_provider_that_is_away_are_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    seen, fake = await probed(refuses(200, b"{}"))
    assert VARIABLE in seen.key_error
    assert not fake.seen
    monkeypatch.setenv(VARIABLE, KEY)
    (away,) = await asyncio.to_thread(providers, document(f"{fake.replica.base_url}/v1"), offline=False, limit=30)
    assert away.error.startswith("unreachable")
    (unasked,) = await asyncio.to_thread(providers, document(f"{fake.replica.base_url}/v1"), offline=True, limit=30)
    assert unasked == SeenProvider("cloud")
    for seen in (away, unasked):
        assert KEY not in repr(seen)
        assert KEY not in repr(found(seen))
