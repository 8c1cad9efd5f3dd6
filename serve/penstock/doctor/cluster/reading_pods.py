"""What the cluster says of nodes and pods, as facts. Pure: objects of Kubernetes as JSON in, values out.

Used by `gather`. Whatever a cluster sends is read as far as it goes: a field of another form counts as absent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from penstock.doctor.cluster.facts import (
    Condition,
    Container,
    Ended,
    Expression,
    Needs,
    Node,
    Pod,
    Reference,
    Taint,
    Toleration,
)
from penstock.doctor.cluster.quantities import parse

COMPONENT = "app.kubernetes.io/component"
HARDWARE = "penstock.dev/hardware"
_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


def section(value: Any, *path: str) -> Mapping[str, Any]:
    """The map at a path; empty where there is none."""
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def items(value: Any, *path: str) -> list[Mapping[str, Any]]:
    """The maps of the list at a path."""
    found = section(value, *path[:-1]).get(path[-1]) if path else value
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def text(value: Any, *path: str) -> str:
    """The text at a path; empty where there is none."""
    found = section(value, *path[:-1]).get(path[-1])
    return found if isinstance(found, str) else ""


def number(value: Any, *path: str) -> int:
    """The whole number at a path; 0 where there is none."""
    found = section(value, *path[:-1]).get(path[-1])
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def texts(value: Any, *path: str) -> dict[str, str]:
    """The map of texts at a path."""
    return {key: found for key, found in section(value, *path).items() if isinstance(found, str)}


def names(value: Any) -> tuple[str, ...]:
    """The texts of a list."""
    return tuple(found for found in value if isinstance(found, str)) if isinstance(value, list) else ()


def timestamp(said: str) -> float:
    """Seconds since the epoch of `2026-01-31T12:00:00Z`; 0 for what is none."""
    try:
        return datetime.fromisoformat(said).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def conditions(status: Any) -> tuple[Condition, ...]:
    """The conditions of an object's status."""
    return tuple(
        Condition(text(seen, "type"), text(seen, "status"), text(seen, "reason"), text(seen, "message"))
        for seen in items(status, "conditions")
    )


def nodes(listed: Iterable[Any], pods: Iterable[Any] | None) -> tuple[Node, ...]:
    """Nodes, with what the pods of all namespaces use of them; None where those could not be read."""
    used: dict[str, dict[str, float]] | None = None
    if pods is not None:
        used = defaultdict(lambda: defaultdict(float))
        for pod in pods:
            # What has ended uses nothing.
            if (node := text(pod, "spec", "nodeName")) and text(pod, "status", "phase") not in ("Succeeded", "Failed"):
                for resource, asked in needs(section(pod, "spec")).requests.items():
                    used[node][resource] += asked
    return tuple(_node(node, used) for node in listed)


def _node(node: Any, used: Mapping[str, Mapping[str, float]] | None) -> Node:
    name = text(node, "metadata", "name")
    taints = [
        Taint(text(taint, "key"), text(taint, "value"), text(taint, "effect"))
        for taint in items(node, "spec", "taints")
    ]
    if section(node, "spec").get("unschedulable") is True and all(taint.key != _UNSCHEDULABLE for taint in taints):
        taints.append(Taint(_UNSCHEDULABLE))
    return Node(
        name,
        texts(node, "metadata", "labels"),
        tuple(taints),
        {resource: parse(there) for resource, there in section(node, "status", "allocatable").items()},
        None if used is None else dict(used.get(name, {})),
    )


def pod(listed: Any) -> Pod:
    """A pod of the release."""
    spec, status = section(listed, "spec"), section(listed, "status")
    images = {text(seen, "name"): text(seen, "image") for seen in _containers(spec)}
    states = [*items(status, "initContainerStatuses"), *items(status, "containerStatuses")]
    return Pod(
        text(listed, "metadata", "name"),
        text(listed, "metadata", "labels", COMPONENT),
        text(listed, "metadata", "labels", HARDWARE),
        text(status, "phase") or "Pending",
        text(spec, "nodeName"),
        text(status, "reason"),
        text(status, "message"),
        bool(text(listed, "metadata", "deletionTimestamp")),
        conditions(status),
        tuple(_container(seen, images) for seen in states),
        needs(spec),
    )


def _container(seen: Any, images: Mapping[str, str]) -> Container:
    name = text(seen, "name")
    waiting = section(seen, "state", "waiting")
    ended = section(seen, "state", "terminated") or section(seen, "lastState", "terminated")
    return Container(
        name,
        images.get(name) or text(seen, "image"),
        section(seen).get("ready") is True,
        number(seen, "restartCount"),
        text(waiting, "reason"),
        text(waiting, "message"),
        Ended(text(ended, "reason"), number(ended, "exitCode"), text(ended, "message")) if ended else None,
    )


def needs(spec: Any) -> Needs:
    """What a pod of this spec asks of a node, as the scheduler counts it."""
    return Needs(
        _requests(spec),
        texts(spec, "nodeSelector"),
        tuple(
            Toleration(text(seen, "key"), text(seen, "operator") or "Equal", text(seen, "value"), text(seen, "effect"))
            for seen in items(spec, "tolerations")
        ),
        tuple(
            tuple(
                Expression(text(asked, "key"), text(asked, "operator"), names(asked.get("values")))
                for asked in [*items(term, "matchExpressions"), *items(term, "matchFields")]
            )
            for term in items(
                spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"
            )
        ),
    )


def _requests(spec: Any) -> dict[str, float]:
    """Containers run together, those before them one by one; sidecars among those stay."""
    running: dict[str, float] = defaultdict(float)
    for container in items(spec, "containers"):
        _add(running, _asked(container))
    staying: dict[str, float] = defaultdict(float)
    highest: dict[str, float] = {}
    for container in items(spec, "initContainers"):
        asked = _asked(container)
        if text(container, "restartPolicy") == "Always":
            _add(staying, asked)
            asked = {}
        for resource in {*asked, *staying}:
            highest[resource] = max(highest.get(resource, 0.0), asked.get(resource, 0.0) + staying.get(resource, 0.0))
    _add(running, staying)
    total = {
        resource: max(running.get(resource, 0.0), highest.get(resource, 0.0)) for resource in {**running, **highest}
    }
    _add(total, {resource: parse(asked) for resource, asked in section(spec, "overhead").items()})
    return {**dict(sorted(total.items())), "pods": 1.0}


def _asked(container: Any) -> dict[str, float]:
    # A limit without a request is a request of the same size.
    both = {**section(container, "resources", "limits"), **section(container, "resources", "requests")}
    return {resource: parse(asked) for resource, asked in both.items()}


def _add(total: dict[str, float], more: Mapping[str, float]) -> None:
    for resource, asked in more.items():
        total[resource] = total.get(resource, 0.0) + asked


def _containers(spec: Any) -> list[Mapping[str, Any]]:
    return [*items(spec, "initContainers"), *items(spec, "containers")]


def secrets_of(spec: Any, used_by: str) -> Iterator[Reference]:
    """Secrets without which a pod of this spec does not start, or pulls no image."""
    for container in _containers(spec):
        for variable in items(container, "env"):
            yield from _reference(section(variable, "valueFrom", "secretKeyRef"), "name", used_by)
        for source in items(container, "envFrom"):
            yield from _reference(section(source, "secretRef"), "name", used_by)
    for volume in items(spec, "volumes"):
        yield from _reference(section(volume, "secret"), "secretName", used_by)
    for pull in items(spec, "imagePullSecrets"):
        yield from _reference(pull, "name", f"pulling images of {used_by}")


def claims_of(spec: Any, used_by: str) -> Iterator[Reference]:
    """Persistent volume claims that a pod of this spec mounts."""
    for volume in items(spec, "volumes"):
        yield from _reference(section(volume, "persistentVolumeClaim"), "claimName", used_by)


def _reference(named: Mapping[str, Any], key: str, used_by: str) -> Iterator[Reference]:
    if (name := text(named, key)) and named.get("optional") is not True:
        yield Reference(name, used_by)
