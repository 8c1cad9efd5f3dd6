"""The module that turns what a cluster offers into the chart's values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from support.charts import render
from support.terraform import TerraformError, applied, missing
from support.terraform_docs import MODULES

pytestmark = [pytest.mark.integration, missing]
L4 = {
    "resources": {"nvidia.com/gpu": "1", "cpu": "3", "memory": "12Gi"},
    "node_selector": {"penstock.dev/hardware": "nvidia-l4"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
}
MODEL = {"models": {"chat": {"source": "hf://acme/chat", "hardware": "nvidia-l4"}}}


def values_of(folder: Path, **variables: Any) -> dict[str, Any]:
    """The module's values for these variables."""
    made = applied(folder, MODULES / "modules" / "helm-values", variables)
    values: dict[str, Any] = yaml.safe_load(made["yaml"])
    return values


def test_all_that_a_cluster_offers_reaches_the_pods(tmp_path: Path) -> None:
    values = values_of(
        tmp_path,
        profiles={"nvidia-l4": L4},
        image_registry="images.example.com/penstock",
        service_account={"name": "weights", "annotations": {"example.com/identity": "reader"}},
        s3_region="eu-central-1",
        system_node_selector={"penstock.dev/nodes": "system"},
        model_cache_size="200Gi",
        redis={"address": "10.0.0.3:6379", "password_secret": "redis"},
        secrets={"database": "accounts", "limits": "limits", "hub": "hub"},
    )
    made = render({**values, **MODEL})
    (head,) = [made.cluster["headGroupSpec"]["template"]["spec"]]
    (engine,) = [g for g in made.cluster["workerGroupSpecs"] if g["groupName"] == "hw-nvidia-l4"]
    pod = engine["template"]["spec"]
    assert pod["nodeSelector"] == L4["node_selector"]
    assert L4["tolerations"][0] in pod["tolerations"]
    assert pod["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1", "memory": "12Gi"}
    assert pod["containers"][0]["image"].startswith("images.example.com/penstock/penstock/engine:")
    assert pod["serviceAccountName"] == "weights"
    assert head["nodeSelector"] == {"penstock.dev/nodes": "system"}
    assert made.cluster["gcsFaultToleranceOptions"]["redisAddress"] == "10.0.0.3:6379"
    account = made.of("ServiceAccount", "weights")
    assert account["metadata"]["annotations"] == {"example.com/identity": "reader"}


def test_nothing_offered_leaves_the_defaults_of_the_chart(tmp_path: Path) -> None:
    assert values_of(tmp_path) == {"serviceAccount": {"name": "penstock"}}


@pytest.mark.parametrize(
    ("variables", "told"),
    [({"redis": {"address": "redis://h:1"}}, "host:port"), ({"model_cache_size": "lots"}, "a quantity")],
)
def test_what_the_chart_could_not_take_is_refused(tmp_path: Path, variables: dict[str, Any], told: str) -> None:
    with pytest.raises(TerraformError, match=told):
        values_of(tmp_path, **variables)
