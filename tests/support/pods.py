"""Runs one-off pods in a cluster, with no more rights than the restricted profile of Kubernetes gives."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

Run = Callable[[str, list[str]], str]
"""Gives what a command prints in a pod of an image."""

_ENFORCE = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"}


@contextmanager
def cluster() -> Iterator[client.CoreV1Api]:
    """The cluster that KUBECONFIG names."""
    with config.new_client_from_config() as connection:
        yield client.CoreV1Api(connection)


@contextmanager
def namespace(core: client.CoreV1Api, *, limit: int = 120) -> Iterator[str]:
    """A namespace that refuses pods outside the restricted profile. It is gone at the end."""
    name = f"penstock-test-{secrets.token_hex(4)}"
    core.create_namespace({"metadata": {"name": name, "labels": _ENFORCE}})
    try:
        # A pod needs the account, which comes a moment after the namespace.
        _wait(core.list_namespaced_service_account, lambda account: True, "default", limit, namespace=name)
        yield name
    finally:
        core.delete_namespace(name)
        # Not a watch: one whose connection is cut waits for an event that has been.
        end = time.monotonic() + limit
        while core.list_namespace(field_selector=f"metadata.name={name}").items:
            if time.monotonic() > end:
                raise TimeoutError(f"the namespace {name} is still there after {limit} s")
            time.sleep(0.5)


def output_of(core: client.CoreV1Api, space: str, image: str, command: list[str], *, limit: int = 480) -> str:
    """What a command prints in a pod of this image, whose root is read-only but for /tmp, the home folder and /dev/shm.

    Raises:
        AssertionError: it failed; with its log.
        TimeoutError: it did not end within `limit` seconds.
    """
    name = f"once-{secrets.token_hex(4)}"
    core.create_namespaced_pod(space, _pod(name, image, command))
    try:
        pod = _wait(core.list_namespaced_pod, _has_ended, name, limit, namespace=space)
        log = core.read_namespaced_pod_log(name, space)
    except TimeoutError as error:
        raise TimeoutError(f"{error}\n{_account(core, space, name)}") from error
    finally:
        core.delete_namespaced_pod(name, space, grace_period_seconds=0)
    assert pod.status.phase == "Succeeded", f"{command} failed in {image}:\n{log}"
    return str(log)


def _has_ended(pod: client.V1Pod) -> bool:
    return pod.status.phase in {"Succeeded", "Failed"}


def _wait(listing: Any, holds: Any, name: str, limit: int, **place: str) -> Any:
    """The object of this name, as soon as something holds for it."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        for item in listing(field_selector=f"metadata.name={name}", **place).items:
            if holds(item):
                return item
        time.sleep(0.5)
    raise TimeoutError(f"{name} was not as wanted after {limit} s")


def _account(core: client.CoreV1Api, space: str, name: str) -> str:
    """What is known of a pod that did not end."""
    events = core.list_namespaced_event(space, field_selector=f"involvedObject.name={name}").items
    told = [f"{event.reason}: {event.message}" for event in events]
    try:
        told.append(core.read_namespaced_pod_log(name, space, tail_lines=50))
    except ApiException as error:
        told.append(f"no log: {error.reason}")
    return "\n".join(told)


def _pod(name: str, image: str, command: list[str]) -> dict[str, Any]:
    places = {"tmp": "/tmp", "home": "/home/penstock", "memory": "/dev/shm"}
    return {
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
                "fsGroup": 1000,
            },
            "containers": [
                {
                    "name": "once",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": command,
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
                    "volumeMounts": [{"name": volume, "mountPath": path} for volume, path in places.items()],
                }
            ],
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                {"name": "home", "emptyDir": {}},
                {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
            ],
        },
    }
