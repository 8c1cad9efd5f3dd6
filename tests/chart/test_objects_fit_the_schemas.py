"""What the chart renders fits the schemas of Kubernetes, KubeRay, the Gateway API and the Prometheus operator."""

from __future__ import annotations

import copy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.chart_values import ONE_MODEL, everything
from support.charts import EXAMPLES, example, render

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("go") is None, reason="kubeconform and the schemas are fetched with Go"),
]


def _kubeconform(objects: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "scripts" / "kubeconform"), "-"]
    given = yaml.safe_dump_all(objects)
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.parametrize("name", [*(path.stem.removeprefix("values-") for path in EXAMPLES), "everything"])
def test_every_object_fits(name: str) -> None:
    objects = render(everything() if name == "everything" else example(name)).objects
    done = _kubeconform(objects)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Valid: {len(objects)}, Invalid: 0, Errors: 0, Skipped: 0" in done.stdout


WRONG: dict[str, tuple[tuple[Any, ...], Any]] = {
    "an unknown field": (("spec", "rayClusterConfig", "autoscalerOptions", "idleTimeout"), 60),
    "an unknown field deep in a pod": (
        ("spec", "rayClusterConfig", "workerGroupSpecs", 0, "template", "spec", "containers", 0, "readiness"),
        {},
    ),
    "an unknown field of metadata": (("metadata", "lables"), {}),
    "a wrong word": (("spec", "rayClusterConfig", "autoscalerOptions", "version"), "v3"),
    "a wrong type": (("spec", "rayClusterConfig", "workerGroupSpecs", 0, "maxReplicas"), "8"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_seen(name: str) -> None:
    service = copy.deepcopy(render(ONE_MODEL).of("RayService"))
    steps, value = WRONG[name]
    place: Any = service
    for step in steps[:-1]:
        place = place[step]
    place[steps[-1]] = value
    done = _kubeconform([service])
    assert done.returncode == 1
    assert "Invalid: 1" in done.stdout


def test_a_kind_without_a_schema_is_an_error() -> None:
    done = _kubeconform([{"apiVersion": "example.com/v1", "kind": "Odd", "metadata": {"name": "a"}}])
    assert done.returncode == 1
    assert "could not find schema for Odd" in done.stdout
