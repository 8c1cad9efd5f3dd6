"""What a person reads after an install names what was installed, and what is left to do."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from support.chart_values import ONE_MODEL
from support.charts import CHART, example, render


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart with its notes in an object: Helm prints notes for a cluster only."""
    copy = tmp_path_factory.mktemp("chart") / "penstock"
    shutil.copytree(CHART, copy)
    notes = (CHART / "templates" / "NOTES.txt").read_text(encoding="utf-8")
    wrapped = (
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\ndata: {notes: {{ include "notes" . | quote }}}\n'
    )
    (copy / "templates" / "notes.yaml").write_text(f'{{{{ define "notes" }}}}{notes}{{{{ end }}}}{wrapped}', "utf-8")
    return copy


def _notes(chart: Path, values: dict[str, Any]) -> str:
    notes: str = render(values, chart=chart).of("ConfigMap", "notes")["data"]["notes"]
    return notes


def test_they_name_what_is_there(chart: Path) -> None:
    notes = _notes(chart, ONE_MODEL | {"service": {"port": 80}})
    assert "Models: demo" in notes
    rendered = render(ONE_MODEL)
    names = {thing["metadata"]["name"] for thing in rendered.objects}
    assert set(re.findall(r"(?:rayservice|service)[/ ]([a-z-]+)", notes)) <= names
    assert "service/test-penstock 8000:80" in notes
    assert set(re.findall(r" -n ([a-z]+)", notes)) == {"penstock"}


def test_without_a_model_they_say_how_to_add_one(chart: Path) -> None:
    notes = _notes(chart, {})
    assert "There is no model yet" in notes
    assert "--set catalog.qwen3-0.6b=true" in notes
    assert "port-forward" not in notes


def test_they_say_where_the_first_keys_are(chart: Path) -> None:
    notes = _notes(chart, ONE_MODEL)
    secret = render(ONE_MODEL).of("Secret")
    assert f"get secret {secret['metadata']['name']} -o" in notes
    named = set(re.findall(r"\{\.data\.([a-z-]+)\}", notes))
    assert named == {"user-key"}
    assert "name a PostgreSQL under secrets.database" in notes
    stored = _notes(chart, ONE_MODEL | {"secrets": {"database": {"name": "pg"}}})
    named = set(re.findall(r"\{\.data\.([a-z-]+)\}", stored))
    assert named == {"user-key", "admin-key"} < secret["stringData"].keys()
    assert "penstock keys create" in stored


def test_they_say_that_an_open_address_is_open(chart: Path) -> None:
    notes = _notes(chart, ONE_MODEL | {"accounts": {"anonymous": True}})
    assert "No key is asked for" in notes
    assert "OPENAI_API_KEY" not in notes
    assert "Authorization: Bearer $OPENAI_API_KEY" in _notes(chart, ONE_MODEL | {"secrets": {"keys": {"name": "ours"}}})


def test_they_warn_of_what_a_trial_leaves_open_and_are_silent_when_it_is_not(chart: Path) -> None:
    trial, production = (
        _notes(chart, ONE_MODEL | {"networkPolicy": {"enabled": False}}),
        _notes(chart, example("production")),
    )
    for warning in ("control store lives in the head pod", "downloads its weights anew", "no network policies"):
        assert warning in trial
        assert warning not in production
