"""Weights that are on the machine: `file://` and `pvc://`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from penstock.config import Source, Weights, parse_source
from penstock.engine.weights import fetch, inspect
from penstock.errors import WeightsError


def model(folder: Path, **more: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    files = {"config.json": b"{}", "model.safetensors": b"\0" * 2000} | more
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_folder_is_used_in_place(tmp_path):
    folder = model(tmp_path / "tiny")
    before = sorted(tmp_path.rglob("*"))
    with fetch(parse_source(f"file://{folder}"), Weights(cache=str(tmp_path / "cache"))) as held:
        assert held.path == folder
    assert sorted(tmp_path.rglob("*")) == before


def test_a_claim_is_looked_for_where_claims_are_mounted(tmp_path):
    folder = model(tmp_path / "models" / "qwen")
    assert fetch(parse_source("pvc://models/qwen"), Weights(claims=str(tmp_path))).path == folder


def test_a_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    model(tmp_path / "tiny")
    assert fetch(parse_source("~/tiny"), Weights()).path == tmp_path / "tiny"


def test_a_single_gguf_file_is_left_to_the_engine(tmp_path):
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF" + b"\0" * 2000)
    assert fetch(parse_source(str(path)), Weights()).path == path
    assert inspect(parse_source(str(path)), Weights()).size == 2004


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "lacks config.json and the weights"),
        ({"config.json": b"{}"}, r"lacks the weights \(.safetensors"),
        ({"model.safetensors": b"\0" * 2000}, "lacks config.json"),
        ({"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"}, "adapter"),
        (
            {"config.json": b"{}", "model.safetensors": b"version https://git-lfs.github.com/spec/v1\noid sha256:0"},
            r"model.safetensors is a pointer of Git LFS.\n.*git lfs pull",
        ),
        (
            {
                "config.json": b"{}",
                "model-1.safetensors": b"\0" * 2000,
                "model.safetensors.index.json": json.dumps(
                    {
                        "weight_map": {
                            "a": "model-1.safetensors",
                            **{str(n): f"model-{n}.safetensors" for n in (2, 3, 4, 5)},
                        }
                    }
                ).encode(),
            },
            "not whole: its index names model-2.safetensors, model-3.safetensors, model-4.safetensors and 1 more",
        ),
    ],
)
def test_a_folder_that_is_no_model_says_what_it_lacks(tmp_path, files, message):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for call in (fetch, inspect):
        with pytest.raises(WeightsError, match=message):
            call(parse_source(f"file://{tmp_path}"), Weights())


@pytest.mark.parametrize("index", [b"not json", b"[]", b"{}", b'{"weight_map": 3}'])
def test_an_index_that_cannot_be_read_is_left_to_the_engine(tmp_path, index):
    model(tmp_path, **{"model.safetensors.index.json": index})
    assert fetch(parse_source(str(tmp_path)), Weights()).path == tmp_path


def test_an_index_of_weights_that_were_left_out_does_not_count(tmp_path):
    model(tmp_path, **{"pytorch_model.bin.index.json": b'{"weight_map": {"a": "pytorch_model-1.bin"}}'})
    assert fetch(parse_source(str(tmp_path)), Weights()).path == tmp_path


def test_a_folder_of_the_hubs_own_cache_is_recognised(tmp_path):
    (tmp_path / "snapshots").mkdir()
    with pytest.raises(WeightsError, match="folder snapshots: name one of them"):
        fetch(parse_source(str(tmp_path)), Weights())


def test_what_does_not_exist_or_is_no_folder_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"/nothing does not exist.\nCheck the path"):
        fetch(parse_source(f"file://{tmp_path}/nothing"), Weights())
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="is a file, not a folder"):
        fetch(parse_source(f"file://{tmp_path}/file"), Weights())


def test_a_claim_that_is_not_mounted_is_named(tmp_path):
    with pytest.raises(WeightsError, match=rf"claim 'models' is not mounted: there is no folder {tmp_path}/models"):
        fetch(parse_source("pvc://models/qwen"), Weights(claims=str(tmp_path)))


def test_a_claim_keeps_its_paths_inside(tmp_path):
    (tmp_path / "models").mkdir()
    with pytest.raises(WeightsError, match="leads out of its claim"):
        fetch(Source("pvc", "models", "../../etc"), Weights(claims=str(tmp_path)))


def test_files_that_may_not_be_read_are_named(tmp_path, monkeypatch):
    folder = model(tmp_path / "tiny")
    if os.geteuid() == 0:  # root may read everything, so the question is answered for somebody else
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "model.safetensors")
    else:
        (folder / "model.safetensors").chmod(0)
    with pytest.raises(WeightsError, match=r"permission denied for .*/model.safetensors.\nMake it readable"):
        fetch(parse_source(str(folder)), Weights())


def test_inspecting_a_folder_lists_what_an_engine_reads(tmp_path):
    model(tmp_path, **{"pytorch_model.bin": b"x" * 2000})
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text("{}")
    listing = inspect(parse_source(str(tmp_path)), Weights())
    assert {file.path for file in listing.files} == {"config.json", "model.safetensors", "1_Pooling/config.json"}
    assert [file.path for file in listing.skipped] == ["pytorch_model.bin"]
    assert listing.size == 2004
    assert listing.cached
