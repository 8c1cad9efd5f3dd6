"""The chart's generated files are those of the models."""

from __future__ import annotations

import pytest
import yaml

from penstock.chart import ChartValues
from penstock.chart.artifacts import REGENERATE, files
from penstock.config import Document
from support.charts import CHART


@pytest.mark.parametrize("name", files())
def test_a_generated_file_is_up_to_date(name: str) -> None:
    if (CHART / name).read_text(encoding="utf-8") != files()[name]:
        pytest.fail(f"{name} differs from the models; write it anew: {REGENERATE}")


def test_the_default_values_are_sound_and_mean_the_defaults_of_the_models() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert ChartValues.model_validate(values) == ChartValues()


def test_every_model_of_the_catalog_is_sound() -> None:
    catalog = yaml.safe_load((CHART / "files" / "catalog.yaml").read_text(encoding="utf-8"))
    assert set(Document.model_validate({"models": catalog}).models) == set(catalog)
