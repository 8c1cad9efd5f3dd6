"""Alerts, dashboard and runbooks ask for metrics and labels that the gateway, Ray and its autoscaler really export."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry
from ray.autoscaler._private.prom_metrics import AutoscalerPrometheusMetrics
from ray.serve.schema import ApplicationStatus, DeploymentStatus

from penstock.accounts.address import sqlite
from penstock.accounts.ledger.opening import OpenUsage
from penstock.assembly.serve_config import GATEWAY_APPLICATION
from penstock.board.decisions import ScalingDecision
from penstock.config.usage import UsageSettings
from penstock.engine.spec import DEPLOYMENT as ENGINE_DEPLOYMENT
from penstock.gateway.accounting import Accounting
from penstock.gateway.errors import BusyError
from penstock.gateway.metrics import Metrics
from penstock.gateway.providers.breaker import State
from penstock.gateway.providers.metrics import ProviderMetrics
from penstock.gateway.scaling_metrics import ScalingMetrics
from penstock.gateway.usage import Usage
from support.charts import CHART

RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"
DASHBOARD: dict[str, Any] = json.loads((CHART / "files" / "dashboards" / "penstock.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ALERTS: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in (CHART / "files" / "alerts").glob("*.yaml")
}
HERE = {"namespace", "release"}
"""Labels that the chart's monitors put on everything; each question names them, so that releases are kept apart."""

OF_THE_TARGET = HERE | {"component", "pod", "ray_io_cluster"}


def _questions() -> Iterator[tuple[str, str]]:
    """Where it stands, and the question."""
    for name, rule in ALERTS.items():
        yield f"alert {name}", rule["expr"].replace("$here", 'namespace="a",release="b"')
    for panel in PANELS:
        for target in panel["targets"]:
            yield f"panel {panel['title']} {target['refId']}", _filled_in(target["expr"])
    for page in RUNBOOKS.glob("*.md"):
        for block in re.findall(r"```promql\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for number, line in enumerate(block.splitlines()):
                yield f"page {page.stem} {number}", line


def _filled_in(question: str) -> str:
    return question.replace("$__rate_interval", "5m").replace("$namespace", "a").replace("$release", "b")


QUESTIONS = dict(_questions())


def _selectors(question: str) -> list[Any]:
    found: list[Any] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        elif isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)

    promql_parser.walk(promql_parser.parse(question), visit)
    return found


def _samples(registry: CollectorRegistry) -> dict[str, set[str]]:
    return {sample.name: set(sample.labels) for family in registry.collect() for sample in family.samples}


@cache
def _of_the_gateway() -> Mapping[str, set[str]]:
    metrics = Metrics()
    metrics.watch(lambda: {"demo": SimpleNamespace(lent=1, idle=1, waiting=1)}, lambda: 1)
    metrics.answered("demo", "/v1/completions", 200, 1.0, 0.1)
    metrics.counted("demo", Usage(prompt=1, completion=1))
    metrics.error("pool", "queue_full")
    providers = ProviderMetrics(metrics.registry, lambda: {"other": State.OPEN})
    providers.asked("other", "answered")
    providers.fell_back("demo", "other", "queue", answered=True)
    Accounting(OpenUsage(UsageSettings(), sqlite(Path("accounts.db"))), metrics.registry)
    scaling = ScalingMetrics(lambda: ["demo"])
    scaling.register(metrics.registry)
    facts = {
        "replicas": 1,
        "rule": "load",
        "text": "",
        "since": 0.0,
        "updated": 0.0,
        "least": 0,
        "most": 1,
        "target": 1,
    }
    scaling.note([ScalingDecision.model_validate({"model": "demo", **facts})], 0.0)
    return _samples(metrics.registry)


@cache
def _of_the_autoscaler() -> Mapping[str, set[str]]:
    metrics = AutoscalerPrometheusMetrics(session_name="s")
    for gauge in (metrics.active_nodes, metrics.pending_nodes):
        gauge.labels(SessionName="s", NodeType="gateway").set(1)
    return _samples(metrics.registry)


@cache
def _of_ray() -> frozenset[str]:
    """Names as Ray's agents export them, read from where Ray makes its metrics."""
    spec = importlib.util.find_spec("ray")
    assert spec is not None
    assert spec.origin is not None
    ray = Path(spec.origin).parent
    sources = [*(ray / "serve" / "_private").rglob("*.py"), ray / "dashboard/modules/reporter/reporter_agent.py"]
    names: set[str] = set()
    for source in sources:
        for call in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant):
                names |= _exported(ast.unparse(call.func).rpartition(".")[2], str(call.args[0].value))
    assert "ray_serve_deployment_request_counter_total" in names  # which Ray's own dashboards ask for
    return frozenset(names)


def _exported(kind: str, name: str) -> set[str]:
    if kind == "Gauge":
        return {f"ray_{name}"}
    if kind == "Counter":
        return {f"ray_{name.removesuffix('_total')}_total"}
    if kind == "Histogram":
        return {f"ray_{name}_{part}" for part in ("bucket", "sum", "count")}
    return set()


@pytest.mark.parametrize("where", QUESTIONS)
def test_a_question_is_valid_promql(where: str) -> None:
    assert _selectors(QUESTIONS[where])


@pytest.mark.parametrize("where", QUESTIONS)
def test_every_metric_exists(where: str) -> None:
    known = _of_ray() | _of_the_gateway().keys() | _of_the_autoscaler().keys()
    assert {selector.name for selector in _selectors(QUESTIONS[where])} <= known


@pytest.mark.parametrize("where", QUESTIONS)
def test_every_label_that_is_asked_for_exists(where: str) -> None:
    labels = {**_of_the_gateway(), **_of_the_autoscaler()}
    for selector in _selectors(QUESTIONS[where]):
        asked = {matcher.name for matcher in selector.matchers.matchers}
        if selector.name in labels:
            assert asked <= labels[selector.name] | OF_THE_TARGET


@pytest.mark.parametrize("where", QUESTIONS)
def test_a_question_is_about_one_release(where: str) -> None:
    for selector in _selectors(QUESTIONS[where]):
        assert {matcher.name for matcher in selector.matchers.matchers} >= HERE


@pytest.mark.parametrize("where", QUESTIONS)
def test_names_within_questions_are_those_of_the_code(where: str) -> None:
    known = {
        "application": {GATEWAY_APPLICATION},
        "deployment": {ENGINE_DEPLOYMENT},
        "reason": {BusyError.default_code},
        "layer": {"engine"},
        "component": {"engine"},
        "state": {"held"},
    }
    for selector in _selectors(QUESTIONS[where]):
        for matcher in selector.matchers.matchers:
            assert matcher.value in known.get(matcher.name, {matcher.value}), matcher.name


@pytest.mark.parametrize("name", ALERTS)
def test_an_alerts_words_use_labels_that_its_result_has(name: str) -> None:
    text = " ".join(ALERTS[name]["annotations"].values())
    used = set(re.findall(r"\$labels\.(\w+)", text))
    kept = {label for group in re.findall(r"by \(([\w, ]+)\)", ALERTS[name]["expr"]) for label in group.split(", ")}
    assert used <= kept - {"le"}


def test_serves_numbers_mean_what_the_alerts_and_the_dashboard_take_them_for() -> None:
    failed = {ApplicationStatus.DEPLOY_FAILED, ApplicationStatus.UNHEALTHY}
    assert {status for status in ApplicationStatus if 0 < status.to_numeric() < 3} == failed
    numbers = {status.to_numeric(): status.value.lower().replace("_", " ") for status in DeploymentStatus}
    assert [numbers[n] for n in (1, 2, 3, 4)] == ["deploy failed", "unhealthy", "updating", "upscaling"]
    (states,) = (panel for panel in PANELS if panel["type"] == "state-timeline")
    (mapping,) = states["fieldConfig"]["defaults"]["mappings"]
    shown = {int(number): state["text"] for number, state in mapping["options"].items()}
    assert shown == {0: "unknown", **numbers}


def test_every_panel_says_what_it_shows_and_in_which_unit() -> None:
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]
    titles = [panel["title"] for panel in PANELS]
    assert len(titles) == len(set(titles))


def test_the_datasource_is_the_readers_choice() -> None:
    sources = {panel["datasource"]["uid"] for panel in PANELS}
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert sources == {"${datasource}"}
    assert variables["datasource"]["query"] == "prometheus"
    assert [*variables] == ["datasource", "namespace", "release", "model"]
    for name in ("namespace", "release", "model"):
        metric = re.match(r"label_values\((\w+)", variables[name]["definition"])
        assert metric is not None
        assert metric[1] in _of_the_gateway()
        assert variables[name]["query"]["query"] == variables[name]["definition"]


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
