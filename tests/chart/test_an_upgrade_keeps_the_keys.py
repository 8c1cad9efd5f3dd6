"""The first keys are made once: what the cluster has stays. Helm asks a stand-in for the API server."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from penstock.accounts import secret
from support.chart_values import ONE_MODEL
from support.charts import CHART, HELM
from support.quiet_server import QuietHandler, QuietServer, served

pytestmark = pytest.mark.integration

NAME = "test-penstock-keys"


class _Cluster(QuietHandler):
    """As much of an API server as Helm's `lookup` needs."""

    secrets: ClassVar[dict[str, dict[str, str]]] = {}

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        found = self._found(path)
        body = json.dumps(found or {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}).encode()
        self.send_response(200 if found else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _found(self, path: str) -> dict[str, Any] | None:
        if path == "/version":
            return {"major": "1", "minor": "33", "gitVersion": "v1.33.1"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            version = {"groupVersion": "ray.io/v1", "version": "v1"}
            return {
                "kind": "APIGroupList",
                "groups": [{"name": "ray.io", "versions": [version], "preferredVersion": version}],
            }
        if path == "/api/v1":
            return _resources("v1", "secrets", "Secret")
        if path == "/apis/ray.io/v1":
            return _resources("ray.io/v1", "rayservices", "RayService")
        name = path.removeprefix("/api/v1/namespaces/penstock/secrets/")
        if name in self.secrets:
            data = {key: base64.b64encode(text.encode()).decode() for key, text in self.secrets[name].items()}
            return {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name}, "data": data}
        return None


def _resources(version: str, name: str, kind: str) -> dict[str, Any]:
    resource = {"name": name, "kind": kind, "namespaced": True, "verbs": ["get", "list"]}
    return {"kind": "APIResourceList", "groupVersion": version, "resources": [resource]}


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "kubeconfig"
    with served(QuietServer(("127.0.0.1", 0), _Cluster)) as address:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": address}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}],
        }
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        yield path


def _rendered(kubeconfig: Path, tmp_path: Path) -> dict[str, str]:
    """What would stand in the Secret, by a cluster's word."""
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(ONE_MODEL), encoding="utf-8")
    command = [str(HELM), "template", "test", str(CHART), "--namespace", "penstock", "-f", str(values)]
    options = ["--dry-run=server", "--kubeconfig", str(kubeconfig), "--show-only", "templates/gateway/keys.yaml"]
    known = ["--api-versions", "ray.io/v1/RayService"]
    done = subprocess.run([*command, *options, *known], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    made: dict[str, str] = yaml.safe_load(done.stdout)["stringData"]
    return made


def test_an_install_makes_them_and_an_upgrade_finds_them(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Cluster, "secrets", {})
    made = _rendered(kubeconfig, tmp_path)
    assert secret.is_whole(made["admin-key"].encode())
    assert _rendered(kubeconfig, tmp_path) != made, "there are none yet, so they are others each time"
    monkeypatch.setattr(_Cluster, "secrets", {NAME: made})
    assert _rendered(kubeconfig, tmp_path) == made


def test_what_somebody_took_away_is_made_anew_and_the_rest_stays(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = secret.new_key()
    monkeypatch.setattr(_Cluster, "secrets", {NAME: {"admin-key": kept, "keys.yaml": "gone: {}"}, "other": {"a": "b"}})
    made = _rendered(kubeconfig, tmp_path)
    assert made["admin-key"] == kept
    assert secret.is_whole(made["user-key"].encode())
    listed = yaml.safe_load(made["keys.yaml"])
    hashes = {name: f"sha256:{secret.digest(made[f'{name}-key'].encode()).hex()}" for name in ("admin", "user")}
    assert {name: entry["hashes"] for name, entry in listed.items()} == {n: [h] for n, h in hashes.items()}
