"""Rendered objects as the types of Kubernetes' own client, so that a misspelt or misplaced field is an error. Used by
the tests of the chart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import kubernetes.client
from pydantic import BaseModel

from support.charts import Rendered

BUILT_IN = {"v1", "apps/v1", "batch/v1", "networking.k8s.io/v1", "policy/v1", "rbac.authorization.k8s.io/v1"}


class Pod(NamedTuple):
    """A pod that the chart describes: of the Ray cluster, of a Job, or of `helm test`."""

    name: str
    template: dict[str, Any]

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.template["metadata"].get("labels", {})
        return labels

    @property
    def component(self) -> str:
        return self.labels["app.kubernetes.io/component"]

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.template["spec"]
        return spec

    @property
    def container(self) -> dict[str, Any]:
        """Its one container."""
        (container,) = self.spec["containers"]
        assert isinstance(container, dict)
        return container

    @property
    def env(self) -> dict[str, Any]:
        """What stands beside each variable's name; for a plain value, the value."""
        found = {}
        for given in self.container.get("env") or []:
            assert given["name"] not in found, f"{given['name']} twice"
            found[given["name"]] = given.get("value", {key: given[key] for key in given if key != "name"})
        return found

    @property
    def volumes(self) -> dict[str, Any]:
        return _by_name(self.spec["volumes"])

    @property
    def mounts(self) -> dict[str, Any]:
        return _by_name(self.container["volumeMounts"])

    @property
    def ports(self) -> dict[str, int]:
        """Numbers of its named ports."""
        return {port["name"]: port["containerPort"] for port in self.container.get("ports", [])}


def pods(rendered: Rendered) -> list[Pod]:
    """Every pod of a rendering."""
    return list(_pods(rendered))


def pod(rendered: Rendered, name: str) -> Pod:
    """One of them: `head`, a worker group's name, `weights` or `test`."""
    (found,) = [pod for pod in _pods(rendered) if pod.name == name]
    return found


def typed(thing: dict[str, Any]) -> BaseModel:
    """An object of Kubernetes itself as its model. Raises ValidationError for a field unknown or not right."""
    assert thing["apiVersion"] in BUILT_IN, thing["apiVersion"]
    return _typed(f"V1{thing['kind']}", thing)


def typed_template(template: dict[str, Any]) -> BaseModel:
    """A pod template, wherever it stands."""
    return _typed("V1PodTemplateSpec", template)


def _pods(rendered: Rendered) -> Iterator[Pod]:
    cluster = rendered.cluster
    yield Pod("head", cluster["headGroupSpec"]["template"])
    for group in cluster["workerGroupSpecs"]:
        yield Pod(group["groupName"], group["template"])
    for job in rendered.all_of("Job"):
        yield Pod("weights", job["spec"]["template"])
    for single in rendered.all_of("Pod"):
        yield Pod("test", {key: single[key] for key in ("metadata", "spec")})


def _typed(model: str, thing: dict[str, Any]) -> BaseModel:
    kind: type[BaseModel] = getattr(kubernetes.client, model)
    return kind.model_validate(_with_text_quantities(thing), by_alias=True, by_name=False, extra="forbid")


def _with_text_quantities(thing: Any) -> Any:
    """Kubernetes reads a number as a quantity; its client's models want text."""
    if isinstance(thing, list):
        return [_with_text_quantities(item) for item in thing]
    if not isinstance(thing, dict):
        return thing
    quantities = {"requests", "limits"}
    return {
        key: {name: str(amount) for name, amount in value.items()}
        if key in quantities and isinstance(value, dict)
        else _with_text_quantities(value)
        for key, value in thing.items()
    }


def _by_name(items: list[dict[str, Any]]) -> dict[str, Any]:
    """What stands beside each name. A name twice is an error."""
    found = {item["name"]: {key: item[key] for key in item if key != "name"} for item in items}
    assert len(found) == len(items), [item["name"] for item in items]
    return found
