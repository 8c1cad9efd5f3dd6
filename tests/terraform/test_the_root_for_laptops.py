"""The root for laptops, as far as it can be shown without a cluster; `tests/cluster` applies it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from support.charts import example, render
from support.terraform import missing, terraform
from support.terraform_docs import MODULES

LAPTOP = MODULES / "laptop"
SCRIPTS = sorted(path for path in (LAPTOP / "scripts").iterdir() if path.name != "common")
MAIN = (LAPTOP / "main.tf").read_text(encoding="utf-8")


@pytest.mark.integration
@missing
def test_what_it_plans_and_refuses_is_tested_by_terraform_itself(tmp_path: Path) -> None:
    surroundings = {"TF_DATA_DIR": str(tmp_path)}
    terraform(LAPTOP, "init", "-backend=false", variables=surroundings)
    terraform(LAPTOP, "validate", variables=surroundings)
    assert "0 failed" in terraform(LAPTOP, "test", variables=surroundings)


def test_it_uses_no_provider_but_what_terraform_has() -> None:
    assert "required_providers" not in (LAPTOP / "versions.tf").read_text(encoding="utf-8")
    assert set(re.findall(r'^resource "(\w+)"', MAIN, re.MULTILINE)) == {"terraform_data"}


def test_its_values_put_the_laptops_example_on_the_port_of_the_node() -> None:
    port = yaml.safe_load("service: {type: NodePort, nodePort: 30800}")
    (service,) = [
        s for s in render({**example("laptop"), **port}).all_of("Service") if s["spec"].get("type") == "NodePort"
    ]
    assert [p["nodePort"] for p in service["spec"]["ports"]] == [30800]


def test_every_step_that_makes_something_has_one_that_takes_it_away() -> None:
    made = {path.name.removesuffix("-up") for path in SCRIPTS if path.name.endswith("-up")}
    gone = {path.name.removesuffix("-down") for path in SCRIPTS if path.name.endswith("-down")}
    # Images go with the cluster that they are in, the release with its namespace.
    assert made - gone == {"images", "release"}
    assert gone <= made


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_can_be_run_and_is_used(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert f"$SCRIPTS/{script.name}" in MAIN


@pytest.mark.integration
@pytest.mark.parametrize(
    ("script", "program", "remedy"),
    [
        ("cluster-up", "docker", "-var kubeconfig=PATH"),
        ("kuberay-up", "helm", "Install Helm"),
        ("namespace-up", "kubectl", "Install kubectl"),
    ],
)
def test_a_program_that_is_missing_is_named_with_what_to_do(
    script: str, program: str, remedy: str, tmp_path: Path
) -> None:
    for tool in ("bash", "dirname", "env"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    surroundings = {"PATH": str(tmp_path), "KUBECONFIG": "none", "KUBE_CONTEXT": "", "NAME": "penstock", "CONFIG": "{}"}
    done = subprocess.run(
        [str(LAPTOP / "scripts" / script)], env=surroundings, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 3
    assert f"error: {program} is not on this machine." in done.stderr
    assert remedy in done.stderr
