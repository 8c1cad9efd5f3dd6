"""checkov finds nothing in any module, and what it is told to pass over has a reason."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.terraform_docs import MODULES, ROOT

FILES = sorted(path for path in MODULES.rglob("*.tf") if ".terraform" not in path.parts)


@pytest.mark.integration
def test_no_policy_is_broken() -> None:
    made = subprocess.run(
        [str(ROOT / "scripts" / "checkov"), "--version"], capture_output=True, check=False, timeout=280
    )
    if made.returncode != 0:
        pytest.skip(f"checkov could not be installed: {made.stderr.decode()[-300:]}")
    options = ["--framework", "terraform", "--compact", "--quiet", "--skip-download", "--output", "json"]
    command = [str(ROOT / "scripts" / "checkov"), "--directory", str(MODULES), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    said: dict[str, Any] = json.loads(done.stdout)
    broken = [f"{c['check_id']} {c['resource']}: {c['check_name']}" for c in said["results"]["failed_checks"]]
    assert broken == []
    assert said["summary"]["parsing_errors"] == 0
    assert said["summary"]["passed"] > 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(MODULES)))
def test_a_policy_that_is_passed_over_has_a_reason(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        if "checkov" in line:
            assert re.fullmatch(r"\s*# checkov:skip=CKV2?_[A-Z]+_\d+:\S.{20,}", line), line
