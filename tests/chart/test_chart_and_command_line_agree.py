"""`penstock render` and the chart give Ray Serve the same configuration.

Where a document says nothing of keys, the chart makes some; so those here say that the address is open, or name theirs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.assembly.serve_config import Placement, serve_config
from penstock.config import Document
from penstock.config.loading import load
from penstock.engine.spec import EngineSpec
from penstock.gateway.spec import GatewayRoutes, GatewaySpec
from support.charts import EXAMPLES, render

DOCUMENTS = sorted(set((Path(__file__).parents[2] / "examples").glob("*.yaml")) - set(EXAMPLES))
ODD: dict[str, Any] = {
    "models": {
        "org/Model-1.5:q4": {"source": "hf://org/model", "replicas": 0, "aliases": ["m", "default"], "cache": True},
        "big": {
            "source": "s3://b/p",
            "hardware": "nvidia-l4",
            "gpus": 2,
            "replicas": {"min": 0, "max": 3, "target": 4},
        },
        "one": {"source": "pvc://c/p", "hardware": "nvidia-h100", "replicas": 2, "options": {"max_model_len": 1048576}},
        "own": {"source": "file:///m", "hardware": "mine", "replicas": {"max": 2, "limit": 64}, "env": {"A": "1"}},
        "pretend": {
            "engine": "simulator",
            "fallback": {"to": "vendor/large", "when": ["failed"]},
            "options": {"startup": "1m30s", "time_to_first_token": "250ms"},
            "cache": {"when": "asked", "ttl": "10m"},
        },
    },
    "providers": {
        "cloud": {"preset": "openai", "models": {"vendor/large": {"model": "large-2", "aliases": ["large"]}}},
        "next-door": {"baseUrl": "http://penstock.other:8000/v1", "key": {"file": "/k"}, "timeouts": {"idle": "1m"}},
    },
    "hardware": {"mine": {"resources": {"amd.com/gpu": 1, "cpu": "500m"}}},
    "gateway": {"longestRequest": "1h30m", "replicas": 3, "maxBodyBytes": "1.5Gi", "leases": {"keep": "250ms"}},
    "weights": {"hub": {"token": {"env": "HF_TOKEN"}}, "limit": "10Gi"},
    "logging": {"format": "text", "level": "debug"},
    "accounts": {"anonymous": True},
}
HASHES = ["sha256:" + "0" * 64, "sha256:" + "f" * 64]
KEYS: dict[str, Any] = {
    "ci": {"hashes": HASHES, "owner": "platform", "models": ["qwen*"], "expires": "2027-01-31T13:00:00+01:00"},
    "Ä key": {"hashes": HASHES[:1], "roles": ["user", "admin"], "disabled": True},
}


def _opened(values: dict[str, Any]) -> dict[str, Any]:
    return {"accounts": {"anonymous": True}} | values


def _canonical(config: dict[str, Any]) -> dict[str, Any]:
    """With what replicas are told as they understand it, and the applications by name.

    Without the release's address, which the chart alone knows."""
    applications = {}
    for application in config["applications"]:
        (deployment,) = application["deployments"]
        if application["name"] == "gateway":
            routes = GatewayRoutes.model_validate(deployment["user_config"]).model_copy(update={"service": None})
            deployment = {**deployment, "user_config": routes}
        spec = GatewaySpec if application["name"] == "gateway" else EngineSpec
        args = spec.model_validate(application["args"])
        applications[application["name"]] = {**application, "args": args, "deployments": [deployment]}
    assert len(applications) == len(config["applications"])
    return {**config, "applications": applications}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_example_is_the_same_from_both(path: Path) -> None:
    # As values: sources are absolute, as the chart wants them.
    values = _opened(load([path]).model_dump(mode="json", by_alias=True, exclude_defaults=True))
    document = Document.model_validate(values)
    assert _canonical(render(values).serve_config) == _canonical(serve_config(document, Placement.CLUSTER))


def test_odd_names_units_and_shorthands_are_the_same_from_both() -> None:
    document = Document.model_validate(ODD)
    assert _canonical(render(ODD).serve_config) == _canonical(serve_config(document, Placement.CLUSTER))


def test_values_written_as_a_person_writes_them_are_the_same_too() -> None:
    text = "models: {demo: {source: /m, replicas: {max: 3}}}\ngateway: {longestRequest: 600, keepAlive: 1.5}\n"
    values = _opened(yaml.safe_load(text))
    document = Document.model_validate(values)
    assert _canonical(render(values).serve_config) == _canonical(serve_config(document, Placement.CLUSTER))


@pytest.mark.parametrize("replicas", [50, 51, 52])
def test_they_agree_on_who_has_room_for_a_rollout(replicas: int) -> None:
    simulated = {"engine": "simulator"}
    values = _opened(
        {
            "models": {
                "many": {**simulated, "replicas": {"min": 0, "max": replicas - 1}},
                "one": simulated,
                "surely": {**simulated, "rollout": {"surge": "always"}, "replicas": 3},
                "elsewhere": {**simulated, "hardware": "nvidia-l4", "replicas": replicas},
                "never": {**simulated, "hardware": "nvidia-h100", "rollout": {"surge": "never"}},
            }
        }
    )
    document = Document.model_validate(values)
    assert _canonical(render(values).serve_config) == _canonical(serve_config(document, Placement.CLUSTER))


def test_a_bound_of_pods_is_taken_as_the_room_for_rollouts() -> None:
    models = {"a": {"engine": "simulator", "replicas": 4}}
    for pods in (4, 5):
        values = _opened({"models": models, "cluster": {"engine": {"maxPods": pods}}})
        document = Document.model_validate(_opened({"models": models}))
        made = serve_config(document, Placement.CLUSTER, max_pods=pods)
        assert _canonical(render(values).serve_config) == _canonical(made)


@pytest.mark.parametrize(
    "accounts",
    [
        {"anonymous": True},
        {"anonymous": True, "limits": {"everyKey": {"requestsPerMinute": 60}}},
        {"anonymous": True, "keys": KEYS},
        {"keys": KEYS},
        {"keys": KEYS, "keysFile": "/keys.yaml"},
        {"keys": KEYS, "keysFile": "/keys.yaml", "anonymous": False, "recheck": "1500ms", "outage": "1h30m"},
        {"keysFile": "/keys.yaml", "database": {"file": "/secrets/database"}},
        {"oidc": {"issuer": "https://login.example.com/", "audience": ["penstock"], "leeway": "1m"}},
    ],
    ids=str,
)
def test_they_agree_on_keys(accounts: dict[str, Any]) -> None:
    document = Document.model_validate({"accounts": accounts})
    values = {"accounts": accounts, "firstKeys": {"create": False}}
    assert _canonical(render(values).serve_config) == _canonical(serve_config(document, Placement.CLUSTER))


@pytest.mark.parametrize("anonymous", [None, True, False])
@pytest.mark.parametrize("keys", [{}, KEYS])
def test_secrets_by_name_are_files_of_the_document(anonymous: bool | None, keys: dict[str, Any]) -> None:
    accounts = {"anonymous": anonymous, "keys": keys}
    secrets = {"keys": {"name": "k"}, "database": {"name": "d"}, "redis": {"name": "r"}}
    files = {
        "keysFile": "/etc/penstock/keys/keys.yaml",
        "database": {"file": "/etc/penstock/database/address"},
        "limits": {"redis": {"file": "/etc/penstock/redis/address"}},
    }
    document = Document.model_validate({"accounts": accounts | files})
    rendered = render({"accounts": accounts, "secrets": secrets})
    assert _canonical(rendered.serve_config) == _canonical(serve_config(document, Placement.CLUSTER))


def test_the_keys_that_the_chart_makes_are_a_file_of_the_document() -> None:
    document = Document.model_validate({"accounts": {"keysFile": "/etc/penstock/keys/keys.yaml"}})
    assert _canonical(render({}).serve_config) == _canonical(serve_config(document, Placement.CLUSTER))
