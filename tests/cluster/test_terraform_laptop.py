"""The Terraform root for laptops, applied for real to the cluster that KUBECONFIG names: each test goes on from the one
before. Simulators serve, because how real engines live in a release is shown elsewhere."""

from __future__ import annotations

import copy
import json
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from kubernetes import client

from support.releases import is_ready, until
from support.terraform import missing, terraform

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500), missing]

ROOT = Path(__file__).parents[2]
LAPTOP: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "values-laptop.yaml").read_text(encoding="utf-8"))
NODE_PORTS = range(30000, 32768)
LIMIT = 900


class Laptop:
    """A root of somebody's own that uses the one of this repository, with a state of its own."""

    def __init__(self, core: client.CoreV1Api, folder: Path) -> None:
        self.core, self.folder = core, folder
        self.name = f"penstock-laptop-{secrets.token_hex(3)}"
        self.values = folder / "values.yaml"
        host = next(a.address for a in core.list_node().items[0].status.addresses if a.type == "InternalIP")
        self._write(
            kubeconfig=os.path.abspath(os.environ["KUBECONFIG"]),  # noqa: PTH100
            name=self.name,
            kuberay={"install": False},
            values=[str(self.values)],
            address={"host": host, "node_port": _free_port(core)},
            patience=600,
        )
        self.serve("pretend")

    def serve(self, *models: str) -> None:
        """Write values with these simulators, on as little as the laptop's example asks for."""
        made = copy.deepcopy(LAPTOP)
        made["models"] = {name: {"engine": "simulator", "options": {"tokens_per_second": 50}} for name in models}
        self.values.write_text(yaml.safe_dump(made), encoding="utf-8")

    def run(self, *arguments: str) -> str:
        """What Terraform prints; helm is found where the tests have it."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return terraform(self.folder, *arguments, limit=LIMIT, variables={"PATH": path})

    def output(self, name: str) -> str:
        """An output of the root."""
        return self.run("output", "-raw", name)

    def ask(self, model: str) -> httpx.Response:
        """One chat completion at the endpoint that Terraform told."""
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
        return httpx.post(f"{self.output('endpoint')}/chat/completions", json=body, timeout=120)

    def models(self) -> set[str]:
        """Models that the endpoint lists."""
        return {model["id"] for model in httpx.get(f"{self.output('endpoint')}/models", timeout=10).json()["data"]}

    def pods(self) -> list[client.V1Pod]:
        """All pods of its namespace."""
        pods: list[client.V1Pod] = self.core.list_namespaced_pod(self.name).items
        return pods

    def account(self) -> str:
        """For a failure: pods and events."""
        pods = [f"{pod.metadata.name}: {pod.status.phase} ready={is_ready(pod)}" for pod in self.pods()]
        events = [f"{e.involved_object.name} {e.reason}: {e.message}" for e in self._events()]
        return "\n".join([*pods, *events[-30:]])

    def _events(self) -> list[Any]:
        found: list[Any] = self.core.list_namespaced_event(self.name).items
        return found

    def _write(self, **given: Any) -> None:
        source = os.path.relpath(ROOT / "deploy" / "terraform" / "laptop", self.folder)
        outputs = ("endpoint", "helm_values", "next_command")
        root = {
            "module": {"laptop": {"source": source, **given}},
            "output": {name: {"value": f"${{module.laptop.{name}}}"} for name in outputs},
        }
        (self.folder / "main.tf.json").write_text(json.dumps(root), encoding="utf-8")


def _free_port(core: client.CoreV1Api) -> int:
    services = core.list_service_for_all_namespaces().items
    taken = {port.node_port for service in services for port in service.spec.ports or []}
    return secrets.choice([port for port in NODE_PORTS if port not in taken])


@pytest.fixture(scope="module")
def laptop(core: client.CoreV1Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    made = Laptop(core, tmp_path_factory.mktemp("laptop").resolve())
    made.run("init")
    yield made
    # Nothing is left to do where the last test has passed.
    made.run("destroy", "-auto-approve")


def test_an_apply_gives_an_endpoint_that_answers(laptop: Laptop) -> None:
    laptop.run("apply", "-auto-approve")
    answer = laptop.ask("pretend")
    assert answer.status_code == 200, f"{answer.text}\n{laptop.account()}"
    assert answer.json()["choices"][0]["message"]["content"]
    assert laptop.models() == {"pretend"}


def test_a_second_apply_changes_nothing(laptop: Laptop) -> None:
    before = {pod.metadata.uid for pod in laptop.pods()}
    assert "No changes." in laptop.run("plan", "-detailed-exitcode")
    assert "0 added, 0 changed, 0 destroyed" in laptop.run("apply", "-auto-approve")
    assert {pod.metadata.uid for pod in laptop.pods()} == before


def test_a_change_of_values_reaches_the_release_in_place(laptop: Laptop) -> None:
    before = {pod.metadata.uid for pod in laptop.pods() if "head" in pod.metadata.name}
    laptop.serve("pretend", "second")
    laptop.run("apply", "-auto-approve")
    until(lambda: laptop.models() == {"pretend", "second"}, limit=300, what="second listed", account=laptop.account)
    assert {pod.metadata.uid for pod in laptop.pods() if "head" in pod.metadata.name} == before
    assert laptop.ask("pretend").status_code == 200


def test_a_destroy_leaves_nothing_of_it_and_all_that_was_there(laptop: Laptop) -> None:
    laptop.run("destroy", "-auto-approve")
    assert laptop.run("state", "list") == ""
    assert laptop.core.list_namespace(field_selector=f"metadata.name={laptop.name}").items == []
    kinds = client.ApiextensionsV1Api(laptop.core.api_client).list_custom_resource_definition().items
    assert "rayservices.ray.io" in {kind.metadata.name for kind in kinds}
    everywhere = client.CustomObjectsApi(laptop.core.api_client).list_cluster_custom_object(
        "ray.io", "v1", "rayservices"
    )
    assert laptop.name not in {service["metadata"]["name"] for service in everywhere["items"]}
