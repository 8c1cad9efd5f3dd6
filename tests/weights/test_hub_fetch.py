"""Fetching from a hub over real HTTP."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from penstock.config import Weights, parse_source
from penstock.engine.weights import FetchCancelledError, Patience, Progress, fetch, inspect
from penstock.errors import WeightsError
from support.hub import SIGNATURE, Hub, hub_server, tiny_model

pytestmark = pytest.mark.integration

QUICK = Patience(attempts=3, first_wait=0.01, longest_wait=0.05, connect=20, silence=20)
SOURCE = parse_source("hf://acme/tiny")


@pytest.fixture
def hub():
    with hub_server() as server:
        yield server


@pytest.fixture
def settings(hub: Hub, tmp_path: Path) -> Weights:
    return Weights.model_validate({"cache": str(tmp_path / "cache"), "hub": {"endpoint": hub.address}})


def get(settings: Weights, source: str = "hf://acme/tiny", **more):
    with fetch(parse_source(source), settings, **({"patience": QUICK} | more)) as held:
        return held


def contents(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and not file.name.startswith(".")
    }


def test_a_model_arrives_whole_and_under_a_readable_name(hub, settings):
    files = tiny_model(megabytes=3, shards=3)
    commit = hub.push("acme/tiny", {**files, "pytorch_model.bin": b"pickled", "onnx/model.onnx": b"x" * 100})
    seen: list[Progress] = []
    held = get(settings, report=seen.append)
    assert contents(held.path) == files
    assert held.path.name.startswith(f"hf--acme--tiny--{commit[:12]}-")
    assert held.resolved == commit
    assert "pytorch_model.bin" not in hub.sent
    total = sum(map(len, files.values()))
    assert seen[-1].done == seen[-1].total == total
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert not list(Path(settings.cache).glob("*.partial"))


def test_a_second_fetch_reads_the_listing_and_no_file(hub, settings):
    hub.push("acme/tiny", tiny_model())
    first = get(settings)
    sent = dict(hub.sent)
    assert get(settings).path == first.path
    assert hub.sent == sent


def test_a_whole_copy_of_a_pinned_commit_needs_no_hub(hub, settings):
    commit = hub.push("acme/tiny", tiny_model())
    first = get(settings, f"hf://acme/tiny@{commit}")
    listings = hub.listings
    assert get(settings, f"hf://acme/tiny@{commit}").path == first.path
    assert hub.listings == listings


def test_a_branch_that_moved_is_fetched_anew_but_its_unchanged_files_are_not(hub, settings):
    files = tiny_model(megabytes=1)
    hub.push("acme/tiny", files)
    old = get(settings)
    sent = hub.sent["model.safetensors"]
    moved = hub.push("acme/tiny", {**files, "config.json": b'{"new": true}'})
    new = get(settings)
    assert new.resolved == moved
    assert contents(new.path)["config.json"] == b'{"new": true}'
    assert contents(old.path) == files
    assert hub.sent["model.safetensors"] == sent


def test_a_cached_copy_serves_while_the_hub_is_away_and_the_log_says_so(tmp_path, caplog):
    with hub_server() as hub:
        settings = Weights.model_validate({"cache": str(tmp_path), "hub": {"endpoint": hub.address}})
        hub.push("acme/tiny", tiny_model())
        first = get(settings)
    with caplog.at_level(logging.WARNING):
        assert get(settings).path == first.path
    assert "cannot be reached" in caplog.text


def test_a_hub_that_is_away_is_an_error_where_nothing_is_cached(tmp_path):
    with hub_server() as hub:
        settings = Weights.model_validate({"cache": str(tmp_path), "hub": {"endpoint": hub.address}})
    with pytest.raises(WeightsError, match=r"no connection to 127.0.0.1.*3 tries"):
        get(settings)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_busy_hub_is_asked_again(hub, settings, status):
    hub.push("acme/tiny", tiny_model())
    hub.fail("api", status=status, times=2)
    hub.fail("model.safetensors", status=status, headers={"Retry-After": "0"})
    assert contents(get(settings).path) == tiny_model()


def test_a_cut_connection_is_resumed_where_it_broke(hub, settings):
    files = tiny_model(megabytes=4)
    hub.push("acme/tiny", files)
    hub.fail("model.safetensors", cut_after=1_000_000)
    hub.fail("model.safetensors", cut_after=500_000)
    assert contents(get(settings).path) == files
    assert hub.sent["model.safetensors"] == len(files["model.safetensors"])
    ranges = [request.headers.get("range") for request in hub.cdn.seen]
    assert ranges == [None, "bytes=1000000-", "bytes=1500000-"]


def test_a_connection_that_is_always_cut_is_an_error_that_keeps_what_arrived(hub, settings):
    files = tiny_model(megabytes=4)
    hub.push("acme/tiny", files)
    hub.fail("model.safetensors", cut_after=300_000, times=3)
    with pytest.raises(WeightsError, match="cut the connection") as caught:
        get(settings)
    assert "what has arrived is kept" in str(caught.value)
    assert contents(get(settings).path) == files
    assert hub.sent["model.safetensors"] == len(files["model.safetensors"])


def test_a_server_that_falls_silent_is_given_up_and_asked_again(hub, settings):
    hub.push("acme/tiny", tiny_model(megabytes=1))
    hub.fail("model.safetensors", pause_after=1000)
    patience = Patience(attempts=3, first_wait=0.01, connect=2, silence=2)
    assert contents(get(settings, patience=patience).path) == tiny_model(megabytes=1)
    assert hub.sent["model.safetensors"] == 2**20


def test_a_server_that_ignores_ranges_is_read_from_the_start(hub, settings):
    files = tiny_model(megabytes=1)
    hub.push("acme/tiny", files)
    hub.fail("model.safetensors", cut_after=1000)
    hub.fail("model.safetensors", ignore_range=True)
    assert contents(get(settings).path) == files


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_with_wrong_bytes_is_read_once_more(hub, settings, name):
    hub.push("acme/tiny", tiny_model())
    hub.fail(name, corrupt=True)
    assert contents(get(settings).path) == tiny_model()


@pytest.mark.parametrize(("name", "digest"), [("model.safetensors", "sha256"), ("config.json", "git-sha1")])
def test_a_file_with_wrong_bytes_twice_is_an_error_and_never_served(hub, settings, name, digest):
    hub.push("acme/tiny", tiny_model())
    hub.fail(name, corrupt=True, times=2)
    with pytest.raises(WeightsError, match=rf"{name} .*arrived wrong, twice: its {digest} differs"):
        get(settings)
    assert not inspect(SOURCE, settings).cached


@pytest.mark.parametrize("by", [-5, 5])
def test_a_file_of_another_size_than_listed_is_an_error(hub, settings, by):
    hub.push("acme/tiny", tiny_model())
    hub.listed_sizes["model.safetensors"] = len(tiny_model()["model.safetensors"]) + by
    with pytest.raises(WeightsError, match=r"arrived wrong, twice: it has \d+ bytes there and \d+ in the listing"):
        get(settings)


def test_cancelling_stops_a_silent_fetch_and_leaves_what_arrived(hub, settings):
    files = tiny_model(megabytes=4)
    hub.push("acme/tiny", files)
    fault = hub.fail("model.safetensors", pause_after=2 * 2**20)
    cancelled = threading.Event()
    ended: list[BaseException] = []

    def run() -> None:
        try:
            get(settings, cancelled=cancelled.is_set, patience=Patience(silence=60))
        except WeightsError as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert fault.paused.wait(60)
    cancelled.set()
    thread.join(20)
    assert not thread.is_alive()
    assert isinstance(ended[0], FetchCancelledError)
    assert contents(get(settings).path) == files
    second = hub.cdn.seen[-1].headers["range"]
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= 2 * 2**20


def test_a_token_reaches_the_hub_and_not_the_server_it_redirects_to(hub, settings, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.tokens.add("hf_secret")
    hub.push("acme/tiny", tiny_model(), private=True)
    hub.fail("model.safetensors", cut_after=10)
    get(settings)
    assert {request.headers.get("authorization") for request in hub.seen} == {"Bearer hf_secret"}
    assert {request.headers.get("authorization") for request in hub.cdn.seen} == {None}
    assert "hf_secret" not in caplog.text
    assert SIGNATURE not in caplog.text


@pytest.mark.parametrize("place", ["env", "file"])
def test_a_token_comes_from_the_place_that_the_document_names(hub, settings, place, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hf_secret")
    (tmp_path / "token").write_text("hf_secret\n")
    hub.tokens.add("hf_secret")
    hub.push("acme/tiny", tiny_model(), gated=True)
    where = {"env": "MY_TOKEN"} if place == "env" else {"file": str(tmp_path / "token")}
    named = Weights.model_validate({"cache": settings.cache, "hub": {"endpoint": hub.address, "token": where}})
    assert contents(get(named).path) == tiny_model()


@pytest.mark.parametrize(
    ("pushed", "token", "source", "message"),
    [
        ({"gated": True}, None, "hf://acme/tiny", r"acme/tiny is gated, and no token is given .*HF_TOKEN"),
        ({"private": True}, None, "hf://acme/tiny", r"no repository acme/tiny .*or it is private and no token"),
        ({}, "hf_wrong", "hf://acme/tiny", r"does not accept the token of the variable HF_TOKEN"),
        ({}, None, "hf://acme/none", r"no repository acme/none"),
        ({}, "hf_right", "hf://acme/none", r"no repository acme/none .*the token of the variable HF_TOKEN may not"),
        ({}, None, "hf://acme/tiny@v9", r"acme/tiny on the hub .* has no revision 'v9'"),
    ],
)
def test_a_refusal_says_what_to_do_and_no_secret(hub, settings, monkeypatch, pushed, token, source, message):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    hub.tokens.add("hf_right")
    hub.push("acme/tiny", tiny_model(), **pushed)
    with pytest.raises(WeightsError, match=f"(?s){message}") as caught:
        get(settings, source)
    assert "hf_" not in str(caught.value)
    assert caught.value.remedy
    assert hub.listings == 1


def test_a_login_page_instead_of_a_hub_is_named_as_such(hub, settings):
    hub.fail("api", status=200)
    with pytest.raises(WeightsError, match="no listing of a model"):
        get(settings)


def test_a_file_name_that_leads_out_of_the_cache_is_refused(hub, settings, tmp_path):
    hub.push("acme/tiny", {**tiny_model(), "../../escaped.json": b"x"})
    with pytest.raises(WeightsError, match="leads elsewhere"):
        get(settings)
    assert not list(tmp_path.rglob("escaped*"))


def test_a_repository_without_weights_is_refused_before_anything_is_fetched(hub, settings):
    hub.push("acme/tiny", {"config.json": b"{}", "README.md": b"soon"})
    with pytest.raises(WeightsError, match="lacks the weights"):
        get(settings)
    assert not hub.sent


def test_a_model_whose_index_names_more_files_than_there_are_is_not_taken(hub, settings):
    index = b'{"weight_map": {"a": "model-0-of-2.safetensors", "b": "model-1-of-2.safetensors"}}'
    files = tiny_model(shards=2)
    del files["model-1-of-2.safetensors"]
    hub.push("acme/tiny", {**files, "model.safetensors.index.json": index})
    with pytest.raises(WeightsError, match=r"index names model-1-of-2\.safetensors"):
        get(settings)


def test_inspecting_lists_sizes_and_fetches_nothing(hub, settings, tmp_path):
    hub.push("acme/tiny", {**tiny_model(), "pytorch_model.bin": b"x" * 50})
    listing = inspect(SOURCE, settings)
    assert listing.size == sum(map(len, tiny_model().values()))
    assert [file.path for file in listing.skipped] == ["pytorch_model.bin"]
    assert not listing.cached
    assert not hub.sent
    assert not Path(settings.cache).exists()
    get(settings)
    assert inspect(SOURCE, settings).cached


def test_a_damaged_copy_is_mended_with_only_what_is_missing(hub, settings):
    files = tiny_model(megabytes=2, shards=2)
    hub.push("acme/tiny", files)
    damaged = get(settings).path / "model-1-of-2.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    sent = dict(hub.sent)
    assert contents(get(settings).path) == files
    assert hub.sent["model-1-of-2.safetensors"] == 2 * sent["model-1-of-2.safetensors"]
    assert hub.sent["model-0-of-2.safetensors"] == sent["model-0-of-2.safetensors"]


def test_the_stand_in_is_a_hub_to_the_official_library(hub, tmp_path, monkeypatch):
    from huggingface_hub import HfApi, hf_hub_download

    files = tiny_model()
    commit = hub.push("acme/tiny", files)
    info = HfApi(endpoint=hub.address, token=False).model_info("acme/tiny", files_metadata=True)
    assert info.sha == commit
    assert {sibling.rfilename: sibling.size for sibling in info.siblings or []} == {k: len(v) for k, v in files.items()}
    for name in ("config.json", "model.safetensors"):
        path = hf_hub_download(
            "acme/tiny", name, endpoint=hub.address, token=False, local_dir=tmp_path, revision="main"
        )
        assert Path(path).read_bytes() == files[name]
