"""The documents in examples/, and what they say about themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.config.loading import load

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_is_a_document(path: Path) -> None:
    assert load([path]).models
    assert f"[{path.name}]({path.name})" in (EXAMPLES / "README.md").read_text()


def test_the_demo_is_where_make_puts_it() -> None:
    source = load([EXAMPLES / "demo.yaml"]).models["demo"].source
    assert source == f"file://{EXAMPLES.parent / 'build' / 'demo-model'}"
