"""The hand-written pages name what there is, and nothing that there is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from penstock.accounts.address import sqlite
from penstock.accounts.ledger.opening import OpenUsage
from penstock.cli.main import _COMMANDS
from penstock.config import Document, Gateway
from penstock.config.usage import UsageSettings
from penstock.gateway import errors
from penstock.gateway.accounting import Accounting
from penstock.gateway.cache.caching import Cache
from penstock.gateway.dialects.paths import AZURE, OLLAMA, SERVERLESS
from penstock.gateway.metrics import Metrics
from penstock.gateway.providers.metrics import ProviderMetrics
from penstock.gateway.routes import ROUTES
from penstock.gateway.scaling_metrics import ScalingMetrics
from penstock.gateway.start_metrics import StartMetrics

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")]
API = (ROOT / "docs" / "api.md").read_text()


def _codes() -> set[str]:
    source = "".join(path.read_text() for path in (ROOT / "serve" / "penstock" / "gateway").rglob("*.py"))
    given = set(re.findall(r'code="([a-z_]+)"', source))
    return given | {
        kind.default_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and getattr(kind, "default_code", None)
    }


def test_every_error_code_is_explained() -> None:
    assert {code for code in _codes() if f"`{code}`" not in API} == set()


def test_every_route_is_listed() -> None:
    assert {path for path in ROUTES if f"`{path}`" not in API} == set()


def test_every_metric_is_listed_and_no_other() -> None:
    metrics = Metrics()
    metrics.watch(dict, lambda: 0)
    StartMetrics(list).register(metrics.registry)
    ScalingMetrics(list).register(metrics.registry)
    Accounting(OpenUsage(UsageSettings(), sqlite(Path("accounts.db"))), metrics.registry)
    ProviderMetrics(metrics.registry, dict)
    Cache(Gateway(), lambda _: None, metrics.registry)
    names = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in metrics.registry.collect()
        if family.name.startswith("penstock_")
    }
    listed = set(re.findall(r"`(penstock_[a-z_]+)`", API))
    assert listed == names


def test_every_command_of_the_readme_exists() -> None:
    known = {command.name for command in _COMMANDS}
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL))
    used = set(re.findall(r"(?:^|/)penstock ([a-z]+)\b", shell, re.MULTILINE))
    assert used
    assert used <= known


def test_the_document_of_the_readme_is_valid() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        Document.model_validate(yaml.safe_load(block))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_target_of_make_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target for page in PAGES for target in re.findall(r"(?:`|^)make ([a-z0-9-]+)", page.read_text(), re.MULTILINE)
    }
    assert {target for target in named if target not in targets} == set()


def test_every_path_of_other_apis_is_listed() -> None:
    assert {path for path in (*AZURE, *SERVERLESS, *OLLAMA) if f"`{path}`" not in API} == set()
