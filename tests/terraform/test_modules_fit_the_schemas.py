"""Every resource, block and argument of the modules is one that the provider has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.terraform_check import Module, problems
from support.terraform_docs import MODULES
from support.terraform_schema import MissingBindingsError, Provider

pytestmark = pytest.mark.integration
CLOUDS = {"gcp": "google", "aws": "aws"}
THERE = [cloud for cloud in CLOUDS if (MODULES / cloud / "versions.tf").exists()]


@pytest.fixture(scope="module")
def provider() -> Callable[[str], Provider]:
    made: dict[str, Provider] = {}

    def of(name: str) -> Provider:
        provider = made.setdefault(name, Provider(name))
        try:
            provider.schema(f"{name}_nothing")
        except MissingBindingsError as error:
            pytest.skip(str(error))
        return provider

    return of


@pytest.mark.parametrize("cloud", THERE)
def test_a_module_fits_its_provider(cloud: str, provider: Callable[[str], Provider]) -> None:
    module = Module(MODULES / cloud)
    assert len(list(module.things)) > 15
    assert problems(module, provider(CLOUDS[cloud])) == []


GOOD = """
variable "name" {
  type = string
}

resource "google_container_node_pool" "gpu" {
  for_each = toset([var.name])
  cluster  = "a"

  autoscaling {
    max_node_count = 1
  }

  dynamic "node_config" {
    for_each = [1]
    content {
      machine_type = local.type
      taint {
        key    = "nvidia.com/gpu"
        value  = "present"
        effect = "NO_SCHEDULE"
      }
      taint {
        key    = "other"
        value  = "present"
        effect = "NO_SCHEDULE"
      }
    }
  }

  lifecycle {
    ignore_changes = [node_count]
  }
}

locals {
  type = "g2-standard-4"
}

data "google_project" "this" {}

output "urls" {
  value = [google_container_node_pool.gpu["a"].managed_instance_group_urls, data.google_project.this.number]
}
"""


def told(folder: Path, text: str, provider: Provider) -> list[str]:
    (folder / "main.tf").write_text(text, encoding="utf-8")
    return problems(Module(folder), provider)


def test_what_is_right_is_left_alone(tmp_path: Path, provider: Callable[[str], Provider]) -> None:
    assert told(tmp_path, GOOD, provider("google")) == []


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        ("machine_type = local.type", "machine_kind = local.type", "node_config: machine_kind: there is no such"),
        ('"google_container_node_pool" "gpu"', '"google_container_nodepool" "gpu"', "has no such resource"),
        ('"google_project" "this"', '"google_projekt" "this"', "has no such data source"),
        ('data "google_project"', 'data "aws_region"', "not of the provider google"),
        ('cluster  = "a"', "", "gpu: cluster is needed and missing"),
        ('        effect = "NO_SCHEDULE"\n      }\n      taint', "      }\n      taint", "taint: effect is needed"),
        (
            "  autoscaling {\n    max_node_count = 1\n  }",
            "  autoscaling = { max_node_count = 1 }",
            "is a block, written",
        ),
        ('cluster  = "a"', "cluster {\n  }", "cluster: this is an argument, written as a block"),
        ("  autoscaling {", "  autoscaling {\n  }\n  autoscaling {", "autoscaling: the block stands twice"),
        ("max_node_count = 1", "max_node_count = 1\n    taint {\n    }", "autoscaling: taint: there is no such"),
        (".managed_instance_group_urls", ".managed_urls", "gpu has no attribute managed_urls"),
        ("data.google_project.this.number", "data.google_project.that.number", "data.google_project.that is not decl"),
        ("toset([var.name])", "toset([var.names])", "var.names is not declared"),
        ("toset([var.name])", 'toset(["a"])', "var.name is declared and never used"),
        ("= local.type", "= local.types", "local.types is not declared"),
    ],
)
def test_what_is_wrong_is_told(
    tmp_path: Path, right: str, wrong: str, expected: str, provider: Callable[[str], Provider]
) -> None:
    assert right in GOOD
    found = told(tmp_path, GOOD.replace(right, wrong), provider("google"))
    assert any(expected in line for line in found), found


def test_arguments_of_blocks_within_blocks_of_the_other_provider_are_known(
    tmp_path: Path, provider: Callable[[str], Provider]
) -> None:
    text = """
    resource "aws_s3_bucket_lifecycle_configuration" "this" {
      bucket = "weights"
      rule {
        id     = "old"
        status = "Enabled"
        noncurrent_version_expiration {
          noncurrent_days = 30
          noncurrent_day = 30
        }
      }
    }
    """
    (found,) = told(tmp_path, text, provider("aws"))
    assert "rule: noncurrent_version_expiration: noncurrent_day: there is no such" in found
