"""What the chart renders is what Kubernetes knows: each of its own objects as a model of its client, strictly."""

from __future__ import annotations

import copy
import subprocess
from typing import Any

import pytest
from pydantic import ValidationError

from support.chart_values import ONE_MODEL, everything
from support.charts import CHART, EXAMPLES, HELM, Rendered, example, render
from support.kubernetes_objects import pod, pods, typed, typed_template

VALUES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "one model": ONE_MODEL,
    **{path.stem: example(path.stem.removeprefix("values-")) for path in EXAMPLES},
    "everything": everything(),
}
FOREIGN = {"ray.io/v1", "gateway.networking.k8s.io/v1", "monitoring.coreos.com/v1"}


@pytest.fixture(scope="module", params=VALUES)
def rendered(request: pytest.FixtureRequest) -> Rendered:
    return render(VALUES[request.param])


def test_every_object_and_pod_is_understood_to_its_last_field(rendered: Rendered) -> None:
    for thing in rendered.objects:
        if thing["apiVersion"] not in FOREIGN:
            typed(thing)
    for given in pods(rendered):
        typed_template(given.template)


def test_no_object_comes_twice_and_all_are_in_the_namespace_of_the_release(rendered: Rendered) -> None:
    assert len(set(rendered.names)) == len(rendered.names)
    own = [thing for thing in rendered.objects if not thing["metadata"]["name"].endswith("-note")]
    assert {thing["metadata"].get("namespace") for thing in own} == {"penstock"}


def test_no_name_is_longer_than_kubernetes_allows(rendered: Rendered) -> None:
    assert all(len(thing["metadata"]["name"]) <= 63 for thing in rendered.objects)
    assert len(rendered.of("RayService")["metadata"]["name"]) <= 47


def test_everything_is_every_kind_that_the_chart_has() -> None:
    kinds = {thing["kind"] for thing in render(VALUES["everything"]).objects}
    templates = [path.read_text(encoding="utf-8") for path in (CHART / "templates").rglob("*.yaml")]
    known = {line.split()[1] for text in templates for line in text.splitlines() if line.startswith("kind: ")}
    assert known <= kinds


@pytest.mark.parametrize("field", [("spec", "selectors"), ("spec", "ports", 0, "target_port"), ("metadata", "lables")])
def test_an_unknown_field_is_seen(field: tuple[Any, ...]) -> None:
    service = copy.deepcopy(render(ONE_MODEL).of("Service"))
    typed(service)
    place: Any = service
    for step in field[:-1]:
        place = place[step]
    place[field[-1]] = 1
    with pytest.raises(ValidationError):
        typed(service)


def test_a_wrong_field_deep_in_a_pod_is_seen() -> None:
    template = copy.deepcopy(pod(render(ONE_MODEL), "gateway").template)
    template["spec"]["containers"][0]["livenessProbe"]["httpGet"]["Port"] = 1
    with pytest.raises(ValidationError):
        typed_template(template)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_helm_has_nothing_against_an_example(path: Any) -> None:
    command = [
        str(HELM),
        "lint",
        "--strict",
        "--quiet",
        str(CHART),
        "-f",
        str(path),
        "--set",
        "skipCapabilityCheck=true",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
