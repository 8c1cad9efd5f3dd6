"""The module for AWS: its own tests with a mocked provider, and what its examples hand to the chart."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from penstock.config import Document
from penstock.doctor.cluster.facts import Taint, Toleration
from penstock.doctor.cluster.fitting import is_tolerated
from support.charts import Rendered, render
from support.kubernetes_objects import pods, typed_template
from support.terraform_aws import AWS, EXAMPLES, Said, asked, copied, needed
from support.terraform_docs import read

pytestmark = pytest.mark.timeout(1300)  # seconds of computing on a quiet machine are minutes on a busy one
FILES = sorted(path.name for path in (AWS / "tests").glob("*.tftest.hcl"))


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    return asked(copied(tmp_path_factory.mktemp("aws")))


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rendered(example: str, said: Said) -> Rendered:
    """The chart of an example's document on its cluster, as the next command installs it."""
    offered = yaml.safe_load(said.outputs[example]["helm_values"])
    return render(offered, "-f", str(AWS / "examples" / example / "penstock.yaml"))


def document(example: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((AWS / "examples" / example / "penstock.yaml").read_text(encoding="utf-8"))
    return found


@pytest.mark.integration
@needed
@pytest.mark.parametrize("file", FILES)
def test_what_the_module_decides_is_tested_by_terraform_itself(said: Said, file: str) -> None:
    assert said.files[file] == "pass"
    names = [name for block in read(AWS / "tests" / file)["run"] for name in block]
    assert {name: said.runs[name.strip('"')] for name in names} == dict.fromkeys(names, "pass")


@pytest.mark.parametrize("name", ["name", "network", "cluster", "system_nodes", "gpu_nodes", "database", "redis"])
def test_each_validated_variable_has_a_refusal_among_the_tests(name: str) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (AWS / "tests").glob("*.tftest.hcl"))
    assert f"expect_failures = [var.{name}]" in text


@pytest.mark.integration
@needed
def test_every_hardware_profile_of_an_example_finds_its_nodes(example: str, said: Said, rendered: Rendered) -> None:
    nodes = said.outputs[example]["nodes"]
    profiles = yaml.safe_load(said.outputs[example]["helm_values"])["hardware"]
    assert profiles.keys() == nodes.keys()
    for name, profile in profiles.items():
        suitable = [
            group
            for group, told in nodes.items()
            if profile["nodeSelector"].items() <= told["labels"].items()
            and all(
                is_tolerated(
                    Taint(taint["key"], taint["value"], taint["effect"]),
                    [Toleration(t["key"], t["operator"], "", t["effect"]) for t in profile["tolerations"]],
                )
                for taint in told["taints"]
            )
        ]
        assert suitable == [name]
    engines = [pod for pod in pods(rendered) if pod.name.startswith("hw-")]
    assert {pod.labels["penstock.dev/hardware"] for pod in engines} == nodes.keys()
    for pod in engines:
        assert pod.spec["nodeSelector"] == profiles[pod.labels["penstock.dev/hardware"]]["nodeSelector"]


@pytest.mark.integration
@needed
def test_only_engines_may_stand_on_nodes_with_gpus(rendered: Rendered) -> None:
    others = [pod for pod in pods(rendered) if not pod.name.startswith("hw-") and pod.name != "test"]
    assert {pod.name for pod in others} == {"head", "gateway"}
    for pod in others:
        assert pod.spec["nodeSelector"] == {"penstock.dev/nodes": "system"}
        assert pod.spec.get("tolerations", []) == []


@pytest.mark.integration
@needed
def test_pods_are_as_kubernetes_knows_them_and_pull_from_the_registry(example: str, rendered: Rendered) -> None:
    prefix = {"minimal": "penstock-trial", "production": "penstock"}[example]
    for pod in pods(rendered):
        if pod.name != "test":
            typed_template(pod.template)
        assert pod.container["image"].startswith(f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{prefix}/penstock/")


@pytest.mark.integration
@needed
def test_production_reads_addresses_from_secrets_that_the_next_command_makes(said: Said) -> None:
    values = yaml.safe_load(said.outputs["production"]["helm_values"])
    command = said.outputs["production"]["next_command"]
    for kind in ("database", "redis"):
        assert f"create secret generic {values['secrets'][kind]['name']} " in command
        assert f"--from-{'file' if kind == 'database' else 'literal'}={values['secrets'][kind]['key']}=" in command


def test_the_document_of_an_example_is_valid_by_itself(example: str) -> None:
    Document.model_validate(document(example))
