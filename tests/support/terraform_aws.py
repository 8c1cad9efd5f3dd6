"""Terraform with its provider for AWS, from a folder on this machine. Used by the tests of that module.

The provider is 600 MB, so it is neither fetched nor copied: `PENSTOCK_TF_PLUGINS` names a folder that has it, laid out
as `terraform providers mirror` makes it, or one stands where Terraform itself looks or in a folder of /opt. Without it,
these tests are skipped.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.terraform import terraform
from support.terraform_docs import MODULES

AWS = MODULES / "aws"
EXAMPLES = ("minimal", "production")
_EXAMPLES = "examples.tftest.hcl"
_USUAL = ("/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins")


@functools.cache
def plugins() -> Path | None:
    """The folder that has the provider; None where there is none."""
    named = os.environ.get("PENSTOCK_TF_PLUGINS")
    places = [Path(named)] if named else [*map(Path, _USUAL), *sorted(Path("/opt").glob("*"))]
    return next((place for place in places if any(place.glob("*/hashicorp/aws/*"))), None)


needed = pytest.mark.skipif(
    shutil.which("terraform") is None or plugins() is None,
    reason="there is no terraform, or no folder with its provider hashicorp/aws: PENSTOCK_TF_PLUGINS names one",
)


class Copy(NamedTuple):
    """A copy of the modules, and the variables by which Terraform finds the provider."""

    modules: Path
    surroundings: dict[str, str]

    def run(self, root: str, *arguments: str, limit: float = 300, status: int = 0, **more: str) -> str:
        """What Terraform prints in a root below `aws`."""
        folder = self.modules / "aws" / root
        return terraform(folder, *arguments, limit=limit, status=status, variables={**self.surroundings, **more})


def copied(folder: Path) -> Copy:
    """All modules, below a folder, so that nothing that Terraform writes gets into the tree."""
    settings = folder / "terraformrc"
    settings.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{plugins()}"\n  }}\n}}\n', encoding="utf-8"
    )
    made = ["terraform.tfstate*", ".terraform", ".terraform.lock.hcl"]
    shutil.copytree(MODULES, folder / "terraform", ignore=shutil.ignore_patterns(*made))
    return Copy(folder / "terraform", {"TF_CLI_CONFIG_FILE": str(settings)})


class Said(NamedTuple):
    """What `terraform test` said: the end of each file and run, and what each run planned to give."""

    files: dict[str, str]
    runs: dict[str, str]
    outputs: dict[str, dict[str, Any]]


def asked(copy: Copy) -> Said:
    """The module's own tests, with a mocked provider.

    Only the examples' plans are asked for: with each one Terraform says the provider's whole schema.
    """
    copy.run(".", "init", "-backend=false")
    rest = [f"-filter=tests/{path.name}" for path in (AWS / "tests").glob("*.hcl") if path.name != _EXAMPLES]
    said = Said({}, {}, {})
    for told in (
        copy.run(".", "test", "-json", *rest, limit=800),
        copy.run(".", "test", "-json", "-verbose", f"-filter=tests/{_EXAMPLES}", limit=400),
    ):
        for event in (json.loads(line) for line in told.splitlines()):
            _note(event, said)
    return said


def _note(event: dict[str, Any], said: Said) -> None:
    if event["type"] == "test_file" and event["test_file"]["progress"] == "complete":
        said.files[Path(event["@testfile"]).name] = event["test_file"]["status"]
    elif event["type"] == "test_run" and event["test_run"]["progress"] == "complete":
        said.runs[event["@testrun"]] = event["test_run"]["status"]
    elif event["type"] == "test_plan":
        changes = event["test_plan"].get("output_changes", {})
        said.outputs[event["@testrun"]] = {name: change.get("after") for name, change in changes.items()}
