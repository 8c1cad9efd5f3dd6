"""`hardware`: profiles of machines that a replica runs on, named once and used by many models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from penstock.config.base import Finding, Section, refused
from penstock.config.labels import label_key_problem, label_value_problem, quantity_problem

GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915", "gpu.intel.com/xe")
MAX_PODS = 64
"""Pods of a hardware profile at most, unless the chart's values say otherwise."""
_TOLERATION = {
    "key": None,
    "operator": ("Exists", "Equal"),
    "value": None,
    "effect": ("NoSchedule", "PreferNoSchedule", "NoExecute"),
    "tolerationSeconds": None,
}


def parse_quantity(value: Any) -> int | str:
    """A quantity as it was written, fractions as text. Raises ValueError with the allowed forms."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("needed is a number or a quantity of Kubernetes, such as 4, 500m or 24Gi")
    if isinstance(value, float):
        value = f"{value:f}".rstrip("0").rstrip(".")
    if problem := quantity_problem(str(value)):
        raise ValueError(problem)
    return value if isinstance(value, int) else str(value)


Quantity = Annotated[
    int | str,
    BeforeValidator(parse_quantity),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "minLength": 1}]}),
]
"""A quantity of Kubernetes."""


class Hardware(Section):
    """One profile. On a laptop only its name and whether it has GPUs matter; a cluster uses all of it."""

    resources: dict[str, Quantity] = Field(default_factory=dict)
    """Kubernetes resources of one replica's pod for one GPU, or for the whole pod without one:
    `{nvidia.com/gpu: 1, cpu: 4, memory: 24Gi}`."""

    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that a node must carry."""

    tolerations: list[dict[str, Any]] = Field(default_factory=list)
    """Kubernetes tolerations, as they are: GPU nodes are usually tainted."""

    @model_validator(mode="after")
    def _fits_kubernetes(self) -> Self:
        if findings := [*self._wrong_resources(), *self._wrong_labels(), *self._wrong_tolerations()]:
            raise refused(Hardware, findings)
        return self

    def _wrong_resources(self) -> Iterator[Finding]:
        for name, amount in self.resources.items():
            if problem := label_key_problem(name):
                yield Finding(("resources", name), problem, amount)
            elif "/" in name and not str(amount).isdecimal():
                yield Finding(("resources", name), f"found {amount!r}; devices are whole, write 1", amount)

    def _wrong_labels(self) -> Iterator[Finding]:
        for name, value in self.node_selector.items():
            if problem := label_key_problem(name) or (label_value_problem(value) if value else None):
                yield Finding(("nodeSelector", name), problem, value)

    def _wrong_tolerations(self) -> Iterator[Finding]:
        for position, toleration in enumerate(self.tolerations):
            for key, value in toleration.items():
                steps = ("tolerations", position, key)
                if key not in _TOLERATION:
                    yield Finding(steps, f"unknown key `{key}`. Known are {', '.join(_TOLERATION)}", value)
                elif (allowed := _TOLERATION[key]) and value not in allowed:
                    yield Finding(steps, f"found {value!r}; allowed are {', '.join(allowed)}", value)

    @property
    def has_gpu(self) -> bool:
        """Whether vLLM finds GPUs there."""
        return any(int(self.resources.get(name, 0)) > 0 for name in GPU_RESOURCES)

    @property
    def has_devices(self) -> bool:
        """Whether there is anything beside processors and memory: GPUs, or accelerators that we do not know."""
        return any("/" in name and int(amount) > 0 for name, amount in self.resources.items())
