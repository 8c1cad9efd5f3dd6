"""What a document may say of providers."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from penstock.config import Document
from penstock.config.provider_presets import ENDPOINTS, PRESETS, PresetName
from penstock.config.providers import Provider

ONE = {"models": {"demo": {"engine": "simulator", "aliases": ["d"], "fallback": {"to": "big"}}}}
CLOUD = {"preset": "openai", "models": {"big": {"aliases": ["large"]}}}


def document(provider: dict[str, Any], **more: Any) -> Document:
    return Document.model_validate({**ONE, "providers": {"cloud": provider}, **more})


def test_every_preset_has_an_address_over_tls_and_offers_what_can_be_asked():
    assert set(get_args(PresetName)) == set(PRESETS)
    for name in PRESETS:
        provider = Provider(preset=name, resource="acme", region="eu-west-1")
        assert provider.address.startswith("https://")
        assert "{" not in provider.address
        assert not provider.address.endswith("/")
        assert provider.offers <= set(ENDPOINTS)
        assert "/v1/chat/completions" in provider.offers


def test_what_a_document_says_wins_over_the_preset():
    provider = Provider.model_validate(
        {
            "preset": "azure-openai",
            "baseUrl": "https://own.example/v1/",
            "keyHeader": "authorization",
            "streamUsage": False,
            "endpoints": ["/v1/embeddings"],
        }
    )
    assert provider.address == "https://own.example/v1"
    assert (provider.sends_key_in, provider.tells_streams_usage) == ("authorization", False)
    assert provider.offers == {"/v1/embeddings"}
    assert Provider(preset="azure-openai", resource="acme").sends_key_in == "api-key"
    assert not Provider(preset="mistral").tells_streams_usage
    assert Provider(base_url="http://x/v1").offers == set(ENDPOINTS)


def test_models_of_providers_have_prices_and_limits_as_ours():
    limits = {"models": {"big": {"requestsPerMinute": 5}}, "prices": {"big": {"prompt": 2}}}
    assert document(CLOUD, accounts={"limits": limits}).accounts.limits.prices["big"].prompt == 2
    with pytest.raises(ValidationError, match="'large' is an alias of 'big'"):
        document(CLOUD, accounts={"limits": {"prices": {"large": {"prompt": 2}}}})


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        ({}, "baseUrl is missing, or preset: one of openai"),
        ({"preset": "azure-openai"}, "resource is missing"),
        ({"preset": "aws-bedrock"}, "region is missing"),
        ({"preset": "azure-openai", "resource": "evil.example/"}, "cannot be a part of a host's name"),
        ({"preset": "aws-bedrock", "region": "x.evil.example#"}, "cannot be a part of a host's name"),
        ({"baseUrl": "https://user:secret@x/v1"}, "a secret never stands in the document"),
        ({"baseUrl": "ftp://x"}, "no endpoint"),
        ({"preset": "openai", "models": {"demo": {}}}, "'demo' is a name of models.demo already"),
        ({"preset": "openai", "models": {"x": {"aliases": ["d"]}}}, "'d' is a name of models.demo already"),
        ({"preset": "openai", "models": {"x": {"aliases": ["y z"]}}}, "no model name"),
        ({"preset": "openai", "models": {"provider:x": {}}}, "begins with provider:"),
        ({"preset": "openai", "models": {"bog": {}}}, "'big' is no model of any of providers; did you mean 'bog'?"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(provider: dict[str, Any], words: str):
    with pytest.raises(ValidationError) as refusal:
        document(provider)
    assert words in str(refusal.value)
    assert "secret@" not in str(refusal.value).replace("input_value", "").split("[type")[0]


@pytest.mark.parametrize("name", ["Cloud", "-cloud", "a" * 33, "a.b", ""])
def test_a_providers_name_fits_a_volume_of_kubernetes(name: str):
    with pytest.raises(ValidationError, match="no name of a provider"):
        Document.model_validate({"providers": {name: CLOUD}})


def test_two_providers_cannot_serve_the_same_name():
    with pytest.raises(ValidationError, match=r"'big' is a name of providers\.cloud\.models\.big already"):
        Document.model_validate({"providers": {"cloud": CLOUD, "other": CLOUD}})


@pytest.mark.parametrize("to", ["", "x" * 129])
def test_a_fallback_names_somebody(to: str):
    with pytest.raises(ValidationError, match="missing or too long"):
        Document.model_validate({"models": {"demo": {"engine": "simulator", "fallback": {"to": to}}}})
