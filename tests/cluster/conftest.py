"""One release on a real cluster, which the tests of this folder change and put back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from support.pods import cluster, namespace
from support.releases import Release, until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def core() -> Iterator[client.CoreV1Api]:
    """The cluster that KUBECONFIG names."""
    with cluster() as connection:
        yield connection


@pytest.fixture(scope="module")
def space(core: client.CoreV1Api) -> Iterator[str]:
    """A namespace that enforces the restricted Pod Security profile."""
    with namespace(core, limit=240) as name:
        yield name


@pytest.fixture(scope="module")
def release(core: client.CoreV1Api, space: str) -> Iterator[Release]:
    """Not yet installed: the first test measures that. Taken away at the end where a test has not done so."""
    made = Release(core, space)
    yield made
    if made.service():
        made.uninstall()


@pytest.fixture
def other_kinds(core: client.CoreV1Api) -> Iterator[None]:
    """Kinds that the chart can make and this cluster may lack: those of the Prometheus operator and the Gateway API."""
    folder = subprocess.run(
        [str(ROOT / "scripts" / "kubeconform"), "--crds"], capture_output=True, text=True, check=True, timeout=300
    ).stdout.strip()
    definitions = client.ApiextensionsV1Api(core.api_client)
    there = {definition.metadata.name for definition in definitions.list_custom_resource_definition().items}
    wanted = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in Path(folder).glob("*.yaml")]
    missing = [definition for definition in wanted if definition["metadata"]["name"] not in there]
    for definition in missing:
        definitions.create_custom_resource_definition(definition)
    names = [definition["metadata"]["name"] for definition in missing]
    until(lambda: all(_is_established(definitions, name) for name in names), limit=120, what="kinds are known")
    yield
    for name in names:
        definitions.delete_custom_resource_definition(name)


def _is_established(definitions: client.ApiextensionsV1Api, name: str) -> bool:
    conditions = definitions.read_custom_resource_definition(name).status.conditions or []
    return any(condition.type == "Established" and condition.status == "True" for condition in conditions)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    release = getattr(item, "funcargs", {}).get("release")
    if report.failed and release is not None and "--- events" not in str(report.longrepr):
        report.sections.append(("cluster", release.account()))
