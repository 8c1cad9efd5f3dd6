"""The documents and values in examples/, and what they say about themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from penstock.chart import ChartValues
from penstock.config.loading import load

EXAMPLES = Path(__file__).parents[2] / "examples"
VALUES = sorted(EXAMPLES.glob("values-*.yaml"))
DOCUMENTS = sorted(set(EXAMPLES.glob("*.yaml")) - set(VALUES))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_example_is_a_document(path: Path) -> None:
    assert load([path]).models


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.name)
def test_every_example_for_a_cluster_is_values_of_the_chart(path: Path) -> None:
    assert ChartValues.model_validate(yaml.safe_load(path.read_text())).models


def test_the_list_names_every_example() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    assert [path.name for path in DOCUMENTS + VALUES if f"[{path.name}]({path.name})" not in listed] == []


def test_the_demo_is_where_make_puts_it() -> None:
    source = load([EXAMPLES / "demo.yaml"]).models["demo"].source
    assert source == f"file://{EXAMPLES.parent / 'build' / 'demo-model'}"
