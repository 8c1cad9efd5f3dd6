"""Every alert has a page for the person on call, and the pages name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from penstock.chart import ChartValues
from penstock.cli.main import _COMMANDS
from support.charts import CHART

RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"
ALERTS = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in (CHART / "files" / "alerts").glob("*.yaml")
}
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in RUNBOOKS.glob("*.md") if path.stem != "README"}
CONTENTS = (RUNBOOKS / "README.md").read_text(encoding="utf-8")


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert ALERTS
    assert set(PAGES) == set(ALERTS)


def test_the_contents_list_every_page_with_its_severity() -> None:
    listed = dict(re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (\w+) \|", CONTENTS, re.MULTILINE))
    assert listed == {name: rule["labels"]["severity"] for name, rule in ALERTS.items()}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_leads_from_the_meaning_to_the_mitigation(name: str) -> None:
    headings = re.findall(r"^#+ .*$", PAGES[name], re.MULTILINE)
    assert headings == [f"# {name}", "## Meaning", "## Impact", "## Diagnosis", "## Mitigation"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_commands_to_look_with(name: str) -> None:
    assert re.search(r"^```sh\n", PAGES[name], re.MULTILINE)


def test_every_command_of_penstock_exists() -> None:
    used = set(re.findall(r"-- penstock ([a-z]+)|in_head penstock ([a-z]+)", "".join(PAGES.values()) + CONTENTS))
    assert used
    assert {first or second for first, second in used} <= {command.name for command in _COMMANDS}


@pytest.mark.parametrize("name", PAGES)
def test_every_value_that_a_page_names_exists(name: str) -> None:
    tops = "|".join(field for field in ChartValues.model_json_schema(by_alias=True)["properties"] if field != "models")
    for path in re.findall(rf"`((?:{tops})(?:\.[A-Za-z]+)+)`", PAGES[name]):
        assert _exists(ChartValues().model_dump(by_alias=True), path.split(".")), path


def _exists(values: object, path: list[str]) -> bool:
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True
