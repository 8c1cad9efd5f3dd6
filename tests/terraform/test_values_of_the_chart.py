"""The module that turns what a cluster offers into the chart's values."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.charts import render
from support.terraform_docs import MODULES

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("terraform") is None, reason="there is no terraform on this machine"),
]
L4 = {
    "resources": {"nvidia.com/gpu": "1", "cpu": "3", "memory": "12Gi"},
    "node_selector": {"penstock.dev/hardware": "nvidia-l4"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
}
MODEL = {"models": {"chat": {"source": "hf://acme/chat", "hardware": "nvidia-l4"}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = {"module": {"values": {"source": str(MODULES / "modules" / "helm-values")}}}
    root["output"] = {"values": {"value": "${module.values.yaml}"}}
    (tmp_path / "main.tf.json").write_text(json.dumps(root), encoding="utf-8")
    return tmp_path


def values_of(folder: Path, **variables: Any) -> dict[str, Any]:
    """The module's values for these variables."""
    root = json.loads((folder / "main.tf.json").read_text())
    root["module"]["values"] |= variables
    (folder / "main.tf.json").write_text(json.dumps(root), encoding="utf-8")
    terraform(folder, "init", "-backend=false")
    terraform(folder, "apply", "-auto-approve")
    values: dict[str, Any] = yaml.safe_load(terraform(folder, "output", "-raw", "values"))
    return values


def terraform(folder: Path, *arguments: str) -> str:
    command = ["terraform", f"-chdir={folder}", *arguments, "-no-color"]
    surroundings = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_all_that_a_cluster_offers_reaches_the_pods(folder: Path) -> None:
    values = values_of(
        folder,
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


def test_nothing_offered_leaves_the_defaults_of_the_chart(folder: Path) -> None:
    assert values_of(folder) == {"serviceAccount": {"name": "penstock"}}


@pytest.mark.parametrize(
    ("variables", "told"),
    [({"redis": {"address": "redis://h:1"}}, "host:port"), ({"model_cache_size": "lots"}, "a quantity")],
)
def test_what_the_chart_could_not_take_is_refused(folder: Path, variables: dict[str, Any], told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        values_of(folder, **variables)
