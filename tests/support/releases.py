"""A release of the chart on a real cluster: installs, changes, watches and removes it. Used by tests/cluster."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from support.charts import CHART, HELM

T = TypeVar("T")
RAY = ("ray.io", "v1")
LOG_TAIL = 60


def until(
    condition: Callable[[], T], *, limit: float, what: str, every: float = 0.5, account: Callable[[], str] = str
) -> T:
    """What `condition` gives as soon as that is true. Raises AssertionError with an account after `limit` seconds."""
    end = time.monotonic() + limit
    while not (given := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {limit:g} s\n{account()}")
        time.sleep(every)
    return given


def is_ready(pod: client.V1Pod) -> bool:
    """Whether Kubernetes calls it Ready."""
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or [])


class Release:
    """A release in a namespace of its own. The address is a port of the node."""

    def __init__(self, core: client.CoreV1Api, space: str, name: str = "penstock") -> None:
        self.core, self.space, self.name = core, space, name
        self.custom = client.CustomObjectsApi(core.api_client)
        self.key: str | None = None
        """A user's key, which `models` and `ask` send; None where the release asks for none."""
        self._url: str | None = None

    # Helm

    def apply(self, values: dict[str, Any], *, limit: float = 120) -> None:
        """`helm upgrade --install`. Returns when the objects are accepted."""
        self.helm("upgrade", "--install", self.name, str(CHART), "-f", "-", given=yaml.safe_dump(values), limit=limit)

    def uninstall(self) -> None:
        """`helm uninstall`, and wait until no pod of it is left."""
        self.helm("uninstall", self.name, "--wait", "--timeout", "6m", limit=400)
        until(lambda: not self.pods(), limit=300, what="pods are gone", account=self.account)

    def helm(self, *arguments: str, given: str = "", limit: float = 120) -> str:
        """What Helm prints. Fails with its words where it refuses."""
        command = [str(HELM), *arguments, "--namespace", self.space]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=limit)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}\n{self.account()}"
        return done.stdout

    def kubectl(self, *arguments: str, given: str = "", limit: float = 60) -> str:
        """What kubectl prints of this namespace. Fails with its words."""
        command = ["kubectl", "--namespace", self.space, *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=limit)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout

    # What is there

    def pods(self, component: str | None = None) -> list[client.V1Pod]:
        """Pods of the release, those of one component."""
        selector = f"app.kubernetes.io/instance={self.name}"
        if component:
            selector += f",app.kubernetes.io/component={component}"
        pods: list[client.V1Pod] = self.core.list_namespaced_pod(self.space, label_selector=selector).items
        return pods

    def service(self) -> dict[str, Any]:
        """The RayService as it is now; empty where there is none yet."""
        try:
            found: dict[str, Any] = self.custom.get_namespaced_custom_object(*RAY, self.space, "rayservices", self.name)
        except ApiException as error:
            if error.status == 404:
                return {}
            raise
        return found

    def ready(self) -> bool:
        """Whether KubeRay calls it Ready."""
        conditions = self.service().get("status", {}).get("conditions", [])
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    @property
    def url(self) -> str:
        """The OpenAI-compatible address as this machine reaches it."""
        if self._url is None:
            port = self.core.read_namespaced_service(self.name, self.space).spec.ports[0].node_port
            addresses = self.core.list_node().items[0].status.addresses
            host = next(address.address for address in addresses if address.type == "InternalIP")
            self._url = f"http://{host}:{port}"
        return self._url

    def models(self) -> dict[str, dict[str, Any]]:
        """Models as the gateway knows them, by name; empty while it does not answer."""
        try:
            answer = httpx.get(f"{self.url}/v1/models", headers=self._headers, timeout=5)
        except httpx.HTTPError:
            return {}
        return {model["id"]: model for model in answer.json()["data"]} if answer.status_code == 200 else {}

    def wait_for(self, *models: str, limit: float) -> None:
        """Until these models have a ready replica."""
        until(
            lambda: all(self.models().get(model, {}).get("ready") for model in models),
            limit=limit,
            what=f"{', '.join(models)} ready",
            account=self.account,
        )

    def ask(self, model: str, text: str = "hello", **options: Any) -> httpx.Response:
        """One chat completion."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 16, **options}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, headers=self._headers, timeout=300)

    @property
    def _headers(self) -> dict[str, str]:
        return {} if self.key is None else {"authorization": f"Bearer {self.key}"}

    # For a failure

    def account(self) -> str:
        """Events, states of pods and the end of each log."""
        return "\n".join(self._account())

    def _account(self) -> Iterator[str]:
        status = self.service().get("status", {})
        yield f"--- RayService: {yaml.safe_dump(status.get('conditions', status), width=150)}"
        applications = status.get("activeServiceStatus", {}).get("applicationStatuses", {})
        yield f"--- applications: {yaml.safe_dump(applications, width=150)}"
        yield "--- events"
        events = self.core.list_namespaced_event(self.space).items
        for event in sorted(events, key=lambda e: str(e.last_timestamp or e.event_time))[-40:]:
            yield f"{event.involved_object.kind}/{event.involved_object.name} {event.reason}: {event.message}"
        for pod in self.pods():
            yield f"--- {pod.metadata.name}: {pod.status.phase}"
            for container in [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]:
                told = f"ready={container.ready} restarts={container.restart_count} {_state(container)}"
                yield f"{container.name}: {told}"
                yield self._log(pod.metadata.name, container.name)

    def _log(self, pod: str, container: str) -> str:
        try:
            return str(self.core.read_namespaced_pod_log(pod, self.space, container=container, tail_lines=LOG_TAIL))
        except ApiException as error:
            return f"no log: {error.reason}"

    def run_in(self, pod: str, *command: str, limit: float = 180) -> str:
        """What a command prints in the Ray container of a pod."""
        return self.kubectl("exec", pod, "--container", "ray", "--", *command, limit=limit)


def _state(status: client.V1ContainerStatus) -> str:
    state = status.state
    if state.waiting:
        return f"waiting: {state.waiting.reason} {state.waiting.message or ''}"
    if state.terminated:
        return f"terminated: {state.terminated.reason} {state.terminated.exit_code}"
    return "running"


def penstock(*arguments: str, limit: float = 120) -> subprocess.CompletedProcess[str]:
    """Penstock's own command line."""
    command = [str(Path(sys.executable).parent / "penstock"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
