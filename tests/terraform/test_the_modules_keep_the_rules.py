"""What holds for every module: formatted, valid, without a provider, and with examples that say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.terraform import missing, terraform
from support.terraform_check import Module
from support.terraform_docs import MODULES, read

EXAMPLES = sorted(path.parent for path in MODULES.glob("*/examples/*/main.tf"))
FOLDERS = sorted({path.parent for path in MODULES.rglob("*.tf") if ".terraform" not in path.parts} - set(EXAMPLES))
ROOTS = {MODULES / "laptop"}
"""Roots of their own: whoever has a laptop applies them as they are."""


def name_of(folder: Path) -> str:
    return str(folder.relative_to(MODULES))


@pytest.mark.integration
@missing
def test_every_file_is_formatted() -> None:
    assert terraform(MODULES, "fmt", "-check", "-recursive", "-diff") == ""


@pytest.mark.parametrize("folder", [f for f in FOLDERS if f not in ROOTS], ids=name_of)
def test_a_module_configures_neither_a_provider_nor_a_place_for_the_state(folder: Path) -> None:
    module = Module(folder)
    assert module.named("provider") == {}
    assert [block for _, block in module.of("terraform") if "backend" in block] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_module_says_which_terraform_it_needs(folder: Path) -> None:
    said = [block["required_version"] for _, block in Module(folder).of("terraform") if "required_version" in block]
    assert len(said) == 1


@pytest.mark.parametrize("cloud", sorted({example.parts[-3] for example in EXAMPLES}))
def test_both_examples_of_a_cloud_give_what_the_module_gives(cloud: str) -> None:
    given = {"helm_values", "kubeconfig_command", "next_command", "registry", "weights", "nodes"}
    assert set(Module(MODULES / cloud).named("output")) >= given
    for example in (e for e in EXAMPLES if e.parts[-3] == cloud):
        assert set(Module(example).named("output")) == given


def test_both_clouds_are_asked_for_in_the_same_words() -> None:
    asked = {cloud: Module(MODULES / cloud).named("variable").keys() for cloud in ("aws", "gcp")}
    assert asked["gcp"] - asked["aws"] == {"project"}
    assert asked["aws"] - asked["gcp"] == set()
    given = {cloud: Module(MODULES / cloud).named("output").keys() for cloud in ("aws", "gcp")}
    assert given["aws"] == given["gcp"]


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_an_example_pins_the_provider_within_what_the_module_allows(example: Path) -> None:
    for name, wanted in _providers(example).items():
        allowed = _providers(example.parents[1])[name]
        least, below = re.fullmatch(r">= ([\d.]+), < ([\d.]+)", allowed["version"]).groups()  # type: ignore[union-attr]
        pinned = wanted["version"].removeprefix("~> ")
        assert wanted["source"] == allowed["source"]
        assert _number(least) <= _number(pinned) < _number(below)


def _providers(folder: Path) -> dict[str, dict[str, str]]:
    files = [read(path) for path in folder.glob("*.tf")]
    blocks = [block for file in files for block in file.get("terraform", []) if "required_providers" in block]
    return {
        name: said
        for block in blocks
        for needed in block["required_providers"]
        for name, said in needed.items()
        if name != "__is_block__"
    }


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
