"""The module for Google Cloud: what can be said of it without the provider.

All that it decides is in `shape`, which needs none; the rest is held to the provider's schema by another test.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.config import Document
from penstock.doctor.cluster.facts import Taint, Toleration
from penstock.doctor.cluster.fitting import is_tolerated
from support.charts import Rendered, render
from support.terraform import applied, missing, terraform
from support.terraform_check import Module
from support.terraform_docs import MODULES

GCP = MODULES / "gcp"
EXAMPLES = ["minimal", "production"]
ASKED = {
    "project": "acme-models",
    "region": "europe-west4",
    "public_from": ["203.0.113.7/32"],
    "h100_reservation": "h100s",
}
"""What somebody would give to the variables of the examples."""


@pytest.fixture(scope="module", params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def shape(example: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the module decides for an example."""
    asked = _filled(Module(GCP / "examples" / example).named("module")["penstock"])
    given = {
        "zones": asked["network"]["zones"],
        "gpu_nodes": asked["gpu_nodes"],
        "registry": f"{ASKED['region']}-docker.pkg.dev/{ASKED['project']}/{asked['name']}",
        "release": {"namespace": "penstock", "service_account": "penstock"},
        "redis": "10.1.2.3:6379" if "redis" in asked else None,
        "database": "database" in asked,
    }
    return applied(tmp_path_factory.mktemp(example), GCP / "shape", given)


@pytest.fixture(scope="module")
def rendered(example: str, shape: dict[str, Any]) -> Rendered:
    """The chart of an example's document on its cluster, as the next command installs it."""
    document = yaml.safe_load((GCP / "examples" / example / "penstock.yaml").read_text(encoding="utf-8"))
    return render(_merged(yaml.safe_load(shape["helm_values"]), document))


@pytest.mark.integration
@missing
def test_what_the_module_decides_is_tested_by_terraform_itself(tmp_path: Path) -> None:
    surroundings = {"TF_DATA_DIR": str(tmp_path)}
    terraform(GCP / "shape", "init", "-backend=false", variables=surroundings)
    told = terraform(GCP / "shape", "test", variables=surroundings)
    assert "0 failed" in told


@pytest.mark.integration
@missing
def test_every_hardware_profile_of_an_example_finds_its_nodes(shape: dict[str, Any], rendered: Rendered) -> None:
    pools = shape["pools"]
    taints = [Taint(taint["key"], taint["value"], taint["effect"]) for taint in shape["taints"]]
    groups = [g for g in rendered.cluster["workerGroupSpecs"] if g["groupName"].startswith("hw-")]
    assert len(groups) == len(pools)
    for group in groups:
        pod = group["template"]["spec"]
        pool = pools[group["template"]["metadata"]["labels"]["penstock.dev/hardware"]]
        assert pod["nodeSelector"].items() <= pool["labels"].items()
        tolerations = [Toleration(t["key"], t["operator"], "", t["effect"]) for t in pod["tolerations"]]
        assert all(is_tolerated(taint, tolerations) for taint in taints)
        asked = pod["containers"][0]["resources"]["limits"]
        assert int(asked["nvidia.com/gpu"]) <= pool["count"]


@pytest.mark.integration
@missing
def test_nothing_but_engines_tolerates_the_taint_of_gpus(shape: dict[str, Any], rendered: Rendered) -> None:
    head = rendered.cluster["headGroupSpec"]["template"]["spec"]
    (gateway,) = [g for g in rendered.cluster["workerGroupSpecs"] if g["groupName"] == "gateway"]
    for pod in (head, gateway["template"]["spec"]):
        assert pod["nodeSelector"] == shape["system_labels"]
        assert pod.get("tolerations", []) == []


@pytest.mark.integration
@missing
def test_images_come_from_the_registry_that_the_module_makes(rendered: Rendered) -> None:
    groups = [rendered.cluster["headGroupSpec"], *rendered.cluster["workerGroupSpecs"]]
    for group in groups:
        for container in group["template"]["spec"]["containers"]:
            assert container["image"].startswith("europe-west4-docker.pkg.dev/acme-models/penstock")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_document_of_an_example_is_valid_by_itself(name: str) -> None:
    text = (GCP / "examples" / name / "penstock.yaml").read_text(encoding="utf-8")
    Document.model_validate(yaml.safe_load(text))


@pytest.mark.integration
@missing
@pytest.mark.parametrize("databases", [True, False], ids=["with databases", "without"])
def test_the_next_command_is_sound_and_makes_the_secrets_that_the_values_name(databases: bool, tmp_path: Path) -> None:
    given = {
        "kubeconfig_command": "gcloud container clusters get-credentials penstock",
        "project": "acme-models",
        "region": "europe-west4",
        "namespace": "penstock",
        "secrets": {"database": "penstock-accounts", "limits": "penstock-limits"},
        "database": {"name": "penstock-1", "address": "10.1.2.4"} if databases else None,
        "redis": {"name": "penstock", "address": "10.1.2.3:6379"} if databases else None,
    }
    template = GCP / "files" / "next.sh.tftpl"
    root = {
        "output": {"it": {"value": f'${{templatefile("{template}", jsondecode(var.given))}}'}},
        "variable": {"given": {}},
    }
    (tmp_path / "main.tf.json").write_text(json.dumps(root), encoding="utf-8")
    terraform(tmp_path, "init")
    terraform(tmp_path, "apply", "-auto-approve", variables={"TF_VAR_given": json.dumps(given)})
    command = terraform(tmp_path, "output", "-raw", "it")
    subprocess.run(["bash", "-n"], input=command, text=True, check=True, timeout=60)
    made = {name for name in ("penstock-accounts", "penstock-limits", "penstock-redis") if name in command}
    assert made == ({"penstock-accounts", "penstock-limits", "penstock-redis"} if databases else set())
    # The document is laid over what the cluster offers.
    assert command.index("helm_values") < command.index("penstock.yaml")


def test_node_pools_carry_what_the_shape_says() -> None:
    pools = {name: body for _, _, kind, name, body in Module(GCP).things if kind == "google_container_node_pool"}
    (node,) = pools["gpu"]["node_config"]
    assert pools["gpu"]["for_each"] == "${module.shape.pools}"
    assert node["labels"] == "${each.value.labels}"
    assert node["machine_type"] == "${each.value.machine.type}"
    ((taint),) = [block["taint"] for block in node["dynamic"] if "taint" in block]
    assert taint["for_each"] == "${module.shape.taints}"
    assert pools["gpu"]["autoscaling"][0]["total_min_node_count"] == "${each.value.min}"
    assert pools["system"]["node_config"][0]["labels"] == "${module.shape.system_labels}"


def test_identities_have_these_roles_and_no_other() -> None:
    granted = {
        (kind, body["role"], body["member"])
        for _, _, kind, _, body in Module(GCP).things
        if kind.endswith(("_iam_member", "_iam_binding", "_iam_policy"))
    }
    assert granted == {
        ("google_storage_bucket_iam_member", "roles/storage.objectViewer", "${local.engines}"),
        ("google_project_iam_member", "roles/container.defaultNodeServiceAccount",
         "${google_service_account.nodes.member}"),
        ("google_artifact_registry_repository_iam_member", "roles/artifactregistry.reader",
         "${google_service_account.nodes.member}"),
        ("google_kms_crypto_key_iam_member", "roles/cloudkms.cryptoKeyEncrypterDecrypter",
         "serviceAccount:${each.value.agent}"),
    }  # fmt: skip


def test_no_secret_is_an_argument() -> None:
    words = ("password", "root_password", "auth_string", "secret_data", "private_key")
    for _, _, kind, name, body in Module(GCP).things:
        assert not set(body) & set(words), f"{kind}.{name}"
    texts = [text for _, text in Module(GCP).texts]
    assert not any(f".{word}" in text for text in texts for word in words)


def _filled(value: Any) -> Any:
    """Values with what the examples' variables are given."""
    if isinstance(value, str):
        for name, given in ASKED.items():
            if value == f"${{var.{name}}}":
                return given
            value = value.replace(f"${{var.{name}}}", str(given))
        return value
    if isinstance(value, dict):
        return {key: _filled(item) for key, item in value.items() if key != "__is_block__"}
    return [_filled(item) for item in value] if isinstance(value, list) else value


def _merged(lower: Any, upper: Any) -> Any:
    """As Helm lays one file of values over another."""
    if not (isinstance(lower, dict) and isinstance(upper, dict)):
        return upper
    return {**lower, **{key: _merged(lower.get(key), value) for key, value in upper.items()}}
