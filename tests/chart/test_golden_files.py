"""What each example becomes is written down, so that a change of the chart shows what it does to a cluster."""

from __future__ import annotations

import difflib

import pytest

from support.charts import templated
from support.golden import FOLDER, REGENERATE, golden, names


@pytest.mark.parametrize("name", names())
def test_an_example_becomes_what_is_written_down(name: str) -> None:
    path = FOLDER / f"{name}.yaml"
    written = path.read_text(encoding="utf-8") if path.exists() else ""
    now = golden(name)
    if now != written:
        lines = (written.splitlines(), now.splitlines())
        difference = "\n".join(difflib.unified_diff(*lines, "written down", "rendered now", lineterm=""))
        pytest.fail(f"{path.name} differs. If the change is meant, run {REGENERATE}\n\n{difference}", pytrace=False)


def test_nothing_is_written_down_for_an_example_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(names())


def test_the_same_values_give_the_same_text() -> None:
    first = golden("laptop")
    templated.cache_clear()
    assert golden("laptop") == first
