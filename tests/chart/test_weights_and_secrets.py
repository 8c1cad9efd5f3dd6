"""Weights come from where values say and are kept where they say; Secrets are named, and reach those that need them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

import pytest

from penstock.config import Document
from support.chart_values import with_changes
from support.charts import Rendered, render
from support.kubernetes_objects import Pod, pod, pods

BASE: dict[str, Any] = {"models": {"a": {"source": "hf://a/b"}}}
CLAIM: dict[str, Any] = with_changes(BASE, modelCache__type="persistentVolumeClaim")
DOWNLOAD: dict[str, Any] = with_changes(CLAIM, modelCache__download=True)
CACHE = "/home/penstock/.cache/penstock/weights"


def test_by_default_each_pod_has_a_cache_of_its_own_with_a_limit() -> None:
    engine = pod(render(BASE), "hw-cpu")
    assert engine.volumes["weights"] == {"emptyDir": {"sizeLimit": "100Gi"}}
    assert engine.mounts["weights"]["mountPath"] == CACHE


def test_a_node_s_folder_is_shared_by_its_pods() -> None:
    values = with_changes(BASE, modelCache__type="hostPath", modelCache__path="/data/weights")
    engine = pod(render(values), "hw-cpu")
    assert engine.volumes["weights"] == {"hostPath": {"path": "/data/weights", "type": "Directory"}}


def test_a_claim_is_made_that_outlives_the_release_or_taken_as_it_is() -> None:
    made = render(with_changes(CLAIM, modelCache__storageClassName="", modelCache__size="1Ti"))
    claim = made.of("PersistentVolumeClaim")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert claim["spec"]["storageClassName"] == ""
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Ti"
    assert pod(made, "hw-cpu").volumes["weights"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert "storageClassName" not in render(CLAIM).of("PersistentVolumeClaim")["spec"]
    taken = render(with_changes(CLAIM, modelCache__existingClaim="ours"))
    assert not taken.all_of("PersistentVolumeClaim")
    assert pod(taken, "hw-cpu").volumes["weights"]["persistentVolumeClaim"]["claimName"] == "ours"


@pytest.mark.parametrize("cache", ["~/.cache/penstock/weights", "~/weights", "/data/weights"])
def test_the_cache_is_mounted_where_the_engine_looks_for_it(cache: str) -> None:
    rendered = render(with_changes(BASE, weights__cache=cache))
    place = cache.replace("~", "/home/penstock")
    assert pod(rendered, "hw-cpu").mounts["weights"]["mountPath"] == place
    assert _arguments(rendered, "model-a")["weights"]["cache"] == cache


def test_no_folder_on_the_way_to_a_mount_is_one_that_the_engine_writes_to() -> None:
    # Whatever mounts volumes makes missing folders as root.
    engine = pod(render(BASE), "hw-cpu")
    mounts = {PurePosixPath(mount["mountPath"]) for mount in engine.mounts.values()}
    on_the_way = {parent for mount in mounts for parent in mount.parents} - mounts
    assert on_the_way & {PurePosixPath("/home/penstock"), PurePosixPath("/home/penstock/.cache")} == set()


def test_shared_memory_has_the_size_that_values_say() -> None:
    engine = pod(render(with_changes(BASE, cluster__engine__sharedMemory="4Gi")), "hw-cpu")
    assert engine.volumes["shm"] == {"emptyDir": {"medium": "Memory", "sizeLimit": "4Gi"}}
    assert engine.mounts["shm"]["mountPath"] == "/dev/shm"


def test_claims_that_models_are_served_from_are_mounted_once_and_read_only() -> None:
    models = {name: {"source": f"pvc://store/{name}"} for name in ("x", "y")} | {"z": {"source": "pvc://other/z"}}
    engine = pod(render({"models": models}), "hw-cpu")
    for claim in ("store", "other"):
        assert engine.volumes[f"claim-{claim}"] == {"persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
        assert engine.mounts[f"claim-{claim}"] == {"mountPath": f"/mnt/claims/{claim}", "readOnly": True}


def test_a_job_downloads_every_model_into_the_claim() -> None:
    rendered = render(DOWNLOAD)
    job, engine = pod(rendered, "weights"), pod(rendered, "hw-cpu")
    assert job.container["command"][:2] == ["penstock", "pull"]
    assert job.volumes["weights"] == engine.volumes["weights"]
    assert job.mounts["weights"] == engine.mounts["weights"]
    document = _pulled(rendered)
    assert document.models.keys() == {"a"}
    path = PurePosixPath(job.container["command"][-1])
    assert job.volumes["document"] == {"configMap": {"name": "test-penstock-weights"}}
    assert job.mounts["document"]["mountPath"] == str(path.parent)
    assert path.name in rendered.of("ConfigMap")["data"]


def test_the_job_pulls_models_of_the_catalog_too() -> None:
    assert _pulled(render(DOWNLOAD | {"catalog": {"bge-m3": True}})).models.keys() == {"a", "bge-m3"}


@pytest.mark.parametrize(
    "change",
    [
        {"models__a__source": "hf://a/c"},
        {"image__engine__tag": "2"},
        {"secrets__hub__name": "hf"},
        {"cluster__engine__env": {"HTTPS_PROXY": "http://proxy"}},
        {"commonLabels": {"a": "b"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_pod_is_a_job_of_another_name_since_no_job_can_be_changed(change: dict[str, Any]) -> None:
    before, after = render(DOWNLOAD).of("Job"), render(with_changes(DOWNLOAD, **change)).of("Job")
    assert before["spec"]["template"] != after["spec"]["template"]
    assert before["metadata"]["name"] != after["metadata"]["name"]


def test_an_upgrade_that_downloads_nothing_else_makes_no_other_job() -> None:
    before, after = render(DOWNLOAD), render(with_changes(DOWNLOAD, gateway__replicas=3, service__port=80))
    assert before.of("Job") == after.of("Job")


def test_secrets_reach_the_pods_that_fetch_weights_and_no_other() -> None:
    secrets = {
        "hub": {"name": "hf", "key": "word"},
        "s3": {"name": "store"},
        "gcs": {"name": "google", "key": "k.json"},
    }
    rendered = render(DOWNLOAD | {"secrets": secrets})
    for name in ("hw-cpu", "weights"):
        given = pod(rendered, name)
        assert given.env["HF_TOKEN"] == {"valueFrom": {"secretKeyRef": {"name": "hf", "key": "word"}}}
        assert given.container["envFrom"] == [{"secretRef": {"name": "store"}}]
        file = PurePosixPath(given.env["GOOGLE_APPLICATION_CREDENTIALS"])
        assert given.mounts["gcs"] == {"mountPath": str(file.parent), "readOnly": True}
        assert given.volumes["gcs"] == {"secret": {"secretName": "google"}}
        assert file.name == "k.json"
    others = [pod(rendered, name) for name in ("head", "gateway", "test")]
    assert not {name for given in others for name in ("hf", "store", "google") if f"'{name}'" in str(given.template)}


def test_no_secret_is_asked_for_that_nobody_named() -> None:
    rendered = render(BASE | {"accounts": {"anonymous": True}})
    assert [given.name for given in pods(rendered) if _secrets(given)] == []


def _secrets(given: Pod) -> set[str]:
    return set(re.findall(r"'(?:secretKeyRef|secretRef|secretName|secret)'", str(given.template)))


def _arguments(rendered: Rendered, application: str) -> dict[str, Any]:
    (found,) = [each for each in rendered.serve_config["applications"] if each["name"] == application]
    arguments: dict[str, Any] = found["args"]
    return arguments


def _pulled(rendered: Rendered) -> Document:
    return Document.model_validate_json(rendered.of("ConfigMap")["data"]["penstock.json"])
