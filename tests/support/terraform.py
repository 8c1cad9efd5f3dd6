"""Runs Terraform. Used by tests/terraform and tests/cluster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

missing = pytest.mark.skipif(shutil.which("terraform") is None, reason="there is no terraform on this machine")


class TerraformError(Exception):
    """Terraform refused; the text is what it said, on one line."""


def terraform(
    folder: Path, *arguments: str, limit: float = 120, variables: dict[str, str] | None = None, status: int = 0
) -> str:
    """What it prints. Raises TerraformError where it ends with another status.

    Args:
        variables: set in its surroundings.
    """
    command = ["terraform", f"-chdir={folder}", *arguments]
    if arguments[0] not in ("output", "fmt"):
        command.append("-no-color")
    surroundings = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}
    surroundings |= variables or {}
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings, check=False, timeout=limit)
    if done.returncode != status:
        said = (done.stdout + done.stderr).replace("│", " ")
        raise TerraformError(f"{' '.join(command)} ended with {done.returncode}: {' '.join(said.split())}")
    return done.stdout


def applied(folder: Path, source: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The outputs of a module without a provider for these variables, by way of a root in `folder`."""
    outputs = sorted(name for block in _outputs(source) for name in block)
    # A module named by an absolute path is copied, and may then not reach its neighbours.
    relative = os.path.relpath(source.resolve(), folder.resolve())
    root = {
        "module": {"it": {"source": relative, **given}},
        "output": {name: {"value": f"${{module.it.{name}}}"} for name in outputs},
    }
    (folder / "main.tf.json").write_text(json.dumps(root), encoding="utf-8")
    terraform(folder, "init", "-backend=false")
    terraform(folder, "apply", "-auto-approve")
    return {name: said["value"] for name, said in json.loads(terraform(folder, "output", "-json")).items()}


def _outputs(source: Path) -> list[dict[str, Any]]:
    from support.terraform_docs import read

    found: list[dict[str, Any]] = read(source / "outputs.tf")["output"]
    return found
