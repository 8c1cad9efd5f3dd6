"""Gateways are told of providers in place, read their keys from Secrets by name, and may reach them alone."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.gateway.spec import GatewayRoutes
from support.chart_values import ONE_MODEL
from support.charts import Rendered, refusal, render
from support.kubernetes_objects import pod, pods

PROVIDERS: dict[str, Any] = {
    "cloud": {"preset": "openai", "models": {"big": {}}},
    "next-door": {"baseUrl": "http://penstock.other:8100/v1"},
}
NAMED = ONE_MODEL | {"providers": PROVIDERS, "secrets": {"providers": {"cloud": {"name": "vendor", "key": "token"}}}}
CUT = {"networkPolicy": {"egress": {"restricted": True}}}


def _told(rendered: Rendered) -> GatewayRoutes:
    return GatewayRoutes.model_validate(rendered.serve_config["applications"][-1]["deployments"][0]["user_config"])


def _ports(values: dict[str, Any]) -> list[int]:
    rules = render(values | CUT).of("NetworkPolicy", "test-penstock-gateway")["spec"]["egress"]
    return [port["port"] for rule in rules[2:] for port in rule["ports"]]


def test_a_key_is_mounted_in_gateways_alone_and_read_from_there():
    rendered = render(NAMED)
    gateway = pod(rendered, "gateway")
    items = [{"key": "token", "path": "key"}]
    assert gateway.volumes["accounts-provider-cloud"] == {"secret": {"secretName": "vendor", "items": items}}
    mount = gateway.mounts["accounts-provider-cloud"]
    assert mount == {"mountPath": "/etc/penstock/provider-cloud", "readOnly": True}
    told = _told(rendered).providers
    assert told["cloud"].key is not None
    assert told["cloud"].key.file == f"{mount['mountPath']}/key"
    assert told["next-door"].key is None
    assert not [each.name for each in pods(rendered) if each.name != "gateway" and "vendor" in str(each.template)]


def test_another_model_of_a_provider_restarts_nothing():
    more = {**PROVIDERS, "cloud": {"preset": "openai", "models": {"big": {}, "small": {}}}}
    before, after = render(NAMED), render(NAMED | {"providers": more})
    (old,), (new,) = (each.serve_config["applications"][-1]["deployments"] for each in (before, after))
    assert {key for key in new if new[key] != old[key]} == {"user_config"}
    assert before.cluster == after.cluster


def test_a_fallback_restarts_no_engine():
    models: dict[str, Any] = ONE_MODEL["models"]
    (name,) = models
    before = render(NAMED)
    after = render(NAMED | {"models": {name: {**models[name], "fallback": {"to": "big"}}}})
    assert before.serve_config["applications"][0] == after.serve_config["applications"][0]
    fallback = _told(after).models[name].fallback
    assert fallback is not None
    assert fallback.to == "big"


def test_gateways_reach_the_ports_of_providers_where_there_are_any():
    assert _ports(ONE_MODEL) == []
    assert _ports(NAMED) == [443, 8100]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"secrets": {"providers": {"cloud": {"name": "x"}}}}, "no such key of providers"),
        (
            {
                "providers": {"cloud": {"preset": "openai", "key": {"file": "/k"}}},
                "secrets": {"providers": {"cloud": {"name": "x"}}},
            },
            "a provider has one key",
        ),
        ({"providers": {"cloud": {"preset": "openai", "key": {"env": "K"}}}}, "no such variable in"),
    ],
)
def test_keys_that_would_not_be_there_are_refused(values: dict[str, Any], words: str):
    assert words in refusal(ONE_MODEL | values)
