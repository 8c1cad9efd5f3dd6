"""What the pages of the modules say of variables and outputs is what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.terraform_docs import MODULES, ROOT, WALK, files, read

FOLDERS = sorted(
    {path.parent for path in MODULES.rglob("variables.tf")} | {p.parent for p in MODULES.rglob("outputs.tf")}
)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_generated_file_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == files()[path], "run `make terraform-docs`"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(MODULES)))
def test_every_variable_and_output_is_described(folder: Path) -> None:
    found = [read(path) for path in (folder / "variables.tf", folder / "outputs.tf") if path.exists()]
    blocks = [block for file in found for kind in ("variable", "output") for block in file.get(kind, [])]
    assert blocks
    assert [name for block in blocks for name, body in block.items() if not body.get("description")] == []


@pytest.mark.parametrize("folder", [f for f in FOLDERS if (f / "variables.tf").exists()], ids=lambda p: p.parts[-1])
def test_attributes_of_an_object_are_named_in_its_description(folder: Path) -> None:
    for block in read(folder / "variables.tf")["variable"]:
        ((name, body),) = block.items()
        inside = str(body["type"]).partition("object({")[2]
        missing = [
            key.strip()
            for key in _keys(inside)
            if not any(word in body["description"] for word in (f"{key}:", f"{key},", f"{key} "))
        ]
        assert missing == [], f"{name}: {missing}"


def test_the_walk_shows_the_files_of_the_example_that_is_tested() -> None:
    page = WALK.read_text(encoding="utf-8")
    for name in ("main.tf", "penstock.yaml"):
        assert (MODULES / "gcp" / "examples" / "minimal" / name).read_text(encoding="utf-8") in page


def _keys(inside: str) -> list[str]:
    """Keys of the outermost object in the text of a type."""
    keys, depth, word = [], 0, ""
    for letter in inside:
        if letter in "({[":
            depth += 1
        elif letter in ")}]":
            depth -= 1
            if depth < 0:
                break
        elif depth == 0 and letter == "=":
            keys.append(word.strip(" ,"))
            word = ""
        elif depth == 0:
            word = "" if letter == "," else word + letter
    return keys
