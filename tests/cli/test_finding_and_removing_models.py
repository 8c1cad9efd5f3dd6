"""`penstock search`, `list` and `rm`, against a stand-in for the hub."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.cli import weights_here
from penstock.cli.main import main
from penstock.config import Weights, parse_source
from penstock.doctor.facts import Gpus, Memory
from penstock.engine.weights import FoundModel, Patience, UnreachableError, fetch, search
from penstock.engine.weights.retry import TransientError
from penstock.errors import WeightsError
from support.http_server import Fault
from support.hub import Hub, hub_server, tiny_model

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One with 16 GiB and no GPU."""
    monkeypatch.setattr(weights_here, "gpus", Gpus)
    monkeypatch.setattr(weights_here, "memory", lambda: Memory(total=16 * 2**30))


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_server() as server:
        for name, downloads, parameters in (
            ("acme/Tiny-1B", 10, {"BF16": 1_000_000_000}),
            ("acme/tiny-70b", 99, {"BF16": 70_000_000_000}),
            ("other/thing", 5, {}),
        ):
            server.push(name, tiny_model(), gated=name == "acme/tiny-70b")
            server.repositories[name].downloads = downloads
            server.repositories[name].parameters = parameters
        yield server


@pytest.fixture
def settings(tmp_path: Path, hub: Hub) -> Weights:
    return Weights.model_validate({"cache": str(tmp_path / "cache"), "hub": {"endpoint": hub.address}})


@pytest.fixture
def document(tmp_path: Path, settings: Weights) -> str:
    path = tmp_path / "penstock.yaml"
    path.write_text(json.dumps({"weights": settings.model_dump(mode="json", by_alias=True, exclude_none=True)}))
    return str(path)


def said(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(list(arguments)) == status
    captured = capsys.readouterr()
    return captured.out + captured.err


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(said(capsys, *arguments, "--json"))
    return found


def test_models_are_found_by_words_with_sizes_and_whether_they_fit(
    document: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(capsys, "search", "-f", document, "acme", "TINY")
    assert [line["source"] for line in found] == ["hf://acme/tiny-70b", "hf://acme/Tiny-1B"], "fetched most first"
    assert [(line["fits"], line["size"], line["gated"]) for line in found] == [
        (False, 140_000_000_000, True),
        (True, 2_000_000_000, False),
    ]
    shown = said(capsys, "search", "-f", document, "tiny-1b")
    assert "hf://acme/Tiny-1B" in shown
    assert "1.9 GiB" in shown
    assert "penstock pull --model hf://acme/Tiny-1B" in shown


def test_of_a_model_without_a_size_nobody_can_tell_whether_it_fits(
    document: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = told(capsys, "search", "-f", document, "thing")
    assert (line["fits"], line["size"]) == (None, None)


def test_no_model_is_told_and_ends_with_1(document: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no model whose name has 'zzz'" in said(capsys, "search", "-f", document, "zzz", status=1)


def test_offline_only_the_cache_is_looked_at_and_that_is_said(
    document: str, settings: Weights, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(parse_source("hf://acme/Tiny-1B"), settings).release()
    hub.close()
    shown = said(capsys, "search", "-f", document, "--offline", "tiny")
    assert "Offline: only the cache" in shown
    assert "hf://acme/Tiny-1B@" in shown
    assert "The cache of this machine has no model" in said(
        capsys, "search", "-f", document, "--offline", "thing", status=1
    )


def test_a_hub_that_does_not_answer_is_told_with_what_is_possible_without_it(
    settings: Weights, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:

    async def nobody(*_: Any) -> bytes:
        raise TransientError("connection refused")

    monkeypatch.setattr(importlib.import_module("penstock.engine.weights.search"), "_get", nobody)
    with pytest.raises(UnreachableError) as caught:
        search("x", settings.hub, patience=Patience(attempts=1))
    assert "--offline" in (caught.value.remedy or "")


@pytest.mark.parametrize(("status", "words"), [(404, "does not search"), (500, "could not be read")])
def test_a_hub_that_refuses_is_told(
    status: int, words: str, document: str, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults["api"] = [Fault(times=9, status=status)]
    assert main(["search", "-f", document, "x"]) != 0
    assert words in capsys.readouterr().err


def test_the_size_follows_from_the_kinds_of_numbers() -> None:
    def bytes_of(**parameters: int) -> int | None:
        return FoundModel.model_validate({"id": "a/b", "safetensors": {"parameters": parameters}}).tensors

    assert bytes_of(BF16=10, F32=1) == 24
    assert bytes_of(F8_E4M3=10, I8=2) == 12
    assert bytes_of(F4=10) == 5
    assert bytes_of() is None


def test_what_is_here_is_listed_with_its_size(
    document: str, settings: Weights, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "There are no weights in" in said(capsys, "list", "-f", document)
    held = fetch(parse_source("hf://acme/Tiny-1B"), settings)
    (line,) = told(capsys, "list", "-f", document)
    assert line["source"].startswith("hf://acme/Tiny-1B@")
    assert line["size"] == sum(map(len, tiny_model().values()))
    assert (line["fits"], line["in_use"], line["whole"]) == (True, True, True)
    held.release()
    shown = said(capsys, "list", "-f", document)
    assert "hf://acme/Tiny-1B@" in shown
    assert "in use" not in shown


@pytest.mark.parametrize("name", ["hf://acme/Tiny-1B", "tiny-1b", "exact"])
def test_weights_are_removed_by_what_a_person_calls_them(
    name: str, document: str, settings: Weights, capsys: pytest.CaptureFixture[str]
) -> None:
    with fetch(parse_source("hf://acme/Tiny-1B"), settings) as held:
        path = held.path
    wanted = path.name if name == "exact" else name
    assert "removed hf://acme/Tiny-1B@" in said(capsys, "rm", "-f", document, wanted)
    assert not path.exists()
    assert told(capsys, "list", "-f", document) == []


def test_what_is_in_use_is_not_removed_nor_anything_with_it(
    document: str, settings: Weights, capsys: pytest.CaptureFixture[str]
) -> None:
    with fetch(parse_source("hf://acme/Tiny-1B"), settings), fetch(parse_source("hf://other/thing"), settings) as free:
        free.release()
        assert main(["rm", "-f", document, "hf://other/thing", "hf://acme/Tiny-1B"]) != 0
        assert "is in use" in capsys.readouterr().err
        assert len(told(capsys, "list", "-f", document)) == 2


def test_a_name_that_fits_nothing_is_told_with_the_nearest(
    document: str, settings: Weights, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(parse_source("hf://acme/Tiny-1B"), settings).release()
    assert main(["rm", "-f", document, "hf://acme/Tiny-1C"]) != 0
    assert "Did you mean 'hf://acme/Tiny-1B'?" in " ".join(capsys.readouterr().err.split())


def test_a_download_that_was_cut_is_listed_and_goes_on(
    document: str, settings: Weights, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults["model.safetensors"] = [Fault(times=9, status=403)]
    with pytest.raises(WeightsError):
        fetch(parse_source("hf://acme/Tiny-1B"), settings)
    (line,) = told(capsys, "list", "-f", document)
    assert line["whole"] is False
    assert "goes on" in said(capsys, "list", "-f", document)
    assert "removed" in said(capsys, "rm", "-f", document, "hf://acme/Tiny-1B")
