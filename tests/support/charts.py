"""Renders the chart as `helm template` does. Used by the tests of the chart."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "penstock"
HELM = Path(sys.executable).parent / "helm"
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("values-*.yaml"))
"""Values for a cluster. The other examples are documents."""


class Rendered(NamedTuple):
    """What the chart makes of some values."""

    objects: list[dict[str, Any]]

    def of(self, kind: str, name: str | None = None) -> dict[str, Any]:
        """The one object of a kind, or of a kind and a name."""
        found = [o for o in self.objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
        assert len(found) == 1, f"{len(found)} of {kind} {name or ''}: {self.names}"
        return found[0]

    def all_of(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind."""
        return [o for o in self.objects if o["kind"] == kind]

    @property
    def steady(self) -> list[dict[str, Any]]:
        """All objects, without the keys in Secrets, which are others at each rendering."""
        return [
            {**o, "stringData": dict.fromkeys(o["stringData"], "(new each time)")} if o["kind"] == "Secret" else o
            for o in self.objects
        ]

    @property
    def names(self) -> list[str]:
        """`Kind/name` of everything."""
        return [f"{o['kind']}/{o['metadata']['name']}" for o in self.objects]

    @property
    def cluster(self) -> dict[str, Any]:
        """What KubeRay makes a Ray cluster of."""
        cluster: dict[str, Any] = self.of("RayService")["spec"]["rayClusterConfig"]
        return cluster

    @property
    def serve_config(self) -> dict[str, Any]:
        """What KubeRay gives to Ray Serve."""
        config: dict[str, Any] = yaml.safe_load(self.of("RayService")["spec"]["serveConfigV2"])
        return config


def render(values: dict[str, Any] | None = None, *options: str, release: str = "test", chart: Path = CHART) -> Rendered:
    """The objects for these values. Raises AssertionError with Helm's words where it refuses."""
    done = _template(values, options, release, chart)
    assert done.returncode == 0, done.stderr
    return Rendered([o for o in yaml.load_all(done.stdout, _Loader) if o])


def example(name: str) -> dict[str, Any]:
    """The values of examples/values-<name>.yaml."""
    (path,) = [path for path in EXAMPLES if path.stem == f"values-{name}"]
    values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return values


def refusal(values: dict[str, Any], *options: str) -> str:
    """What Helm says against these values. Fails where it says nothing."""
    done = _template(values, options, "test", CHART)
    assert done.returncode != 0, "rendered what should be refused"
    return done.stderr


class _Loader(yaml.CSafeLoader):
    """Refuses a key that stands twice, which Kubernetes' own reader would pass over."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key twice, {node.start_mark}: {sorted(keys)}"
        return super().construct_mapping(node, deep)


def _template(
    values: dict[str, Any] | None, options: tuple[str, ...], release: str, chart: Path
) -> subprocess.CompletedProcess[str]:
    given = yaml.dump(values or {}, Dumper=yaml.CSafeDumper)
    return templated(given, options, release) if chart == CHART else _helm(given, options, release, chart)


@functools.cache
def templated(given: str, options: tuple[str, ...], release: str) -> subprocess.CompletedProcess[str]:
    """What Helm made of these values and the chart, which no test changes. `cache_clear` has it made anew."""
    return _helm(given, options, release, CHART)


def _helm(given: str, options: tuple[str, ...], release: str, chart: Path) -> subprocess.CompletedProcess[str]:
    known = () if "--api-versions" in options else ("--api-versions", "ray.io/v1/RayService")
    command = [str(HELM), "template", release, str(chart), "--namespace", "penstock", "-f", "-", *known, *options]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=180)
