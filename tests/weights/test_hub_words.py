"""What the hub's refusals and the places of tokens are turned into, without a network."""

from __future__ import annotations

import asyncio
import errno
import pickle
from pathlib import Path

import aiohttp
import pytest

from penstock.config.weights import Hub
from penstock.engine.weights import FetchCancelledError, Patience, UnreachableError
from penstock.engine.weights.errors import from_os_error
from penstock.engine.weights.hub import Token, explain, is_commit, read_token
from penstock.engine.weights.remote import Address
from penstock.engine.weights.retry import HEADWAY, TransientError, network_error, patiently, retry_after
from penstock.engine.weights.transfer import _offer
from penstock.errors import WeightsError

NO_TOKEN = Token(None, "the variable HF_TOKEN")
TOKEN = Token("hf_secret", "the file /run/token (weights.hub.token)")


@pytest.mark.parametrize(
    ("status", "headers", "token", "said"),
    [
        (401, {}, NO_TOKEN, "There is no repository a/b"),
        (401, {"X-Error-Code": "RepoNotFound"}, NO_TOKEN, "or it is private and no token is given"),
        (401, {"X-Error-Code": "RepoNotFound"}, TOKEN, "or it is private and the token of the file /run/token"),
        (401, {"X-Error-Code": "GatedRepo"}, NO_TOKEN, "is gated, and no token is given"),
        (403, {"X-Error-Code": "GatedRepo"}, TOKEN, "is gated, and the account of the token of the file /run/token"),
        (403, {}, TOKEN, "has no access"),
        (401, {}, TOKEN, "does not accept the token of the file /run/token"),
        (404, {"X-Error-Code": "RevisionNotFound"}, NO_TOKEN, "no revision 'v1'"),
        (404, {}, NO_TOKEN, "There is no repository a/b"),
        (400, {}, NO_TOKEN, "refused a/b with status 400"),
    ],
)
def test_each_refusal_of_the_hub_has_its_own_sentence(status, headers, token, said):
    error = explain(status, headers, repository="a/b", revision="v1", hub="the hub h", token=token)
    assert said in error.message
    assert "hf_secret" not in str(error)


def test_a_token_shows_itself_nowhere():
    assert "hf_secret" not in f"{TOKEN!r} {TOKEN}"
    assert "hf_secret" not in repr(Address("https://x/?s=hf_secret", {"Authorization": "Bearer hf_secret"}))


@pytest.mark.parametrize("value", ["hf_ü", "two words", "new\nline"])
def test_what_is_no_token_is_refused_without_being_shown(monkeypatch, value):
    monkeypatch.setenv("HF_TOKEN", value)
    with pytest.raises(WeightsError, match="is no token") as caught:
        read_token(Hub())
    assert value not in str(caught.value)


def test_a_place_of_a_token_that_is_empty_is_an_error_and_the_default_is_not(monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("MINE", raising=False)
    assert read_token(Hub()).value is None
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for place, said in [
        ({"env": "MINE"}, "the variable MINE .*not set"),
        ({"file": str(tmp_path / "empty")}, "empty or not set"),
        ({"file": str(tmp_path / "none")}, "No such file"),
        ({"file": str(tmp_path / "binary")}, "it is no text"),
    ]:
        with pytest.raises(WeightsError, match=said):
            read_token(Hub.model_validate({"token": place}))


def test_only_whole_commits_never_move():
    assert is_commit("0" * 40)
    assert not is_commit("0" * 39)
    assert not is_commit("main")
    assert not is_commit(None)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "is full"),
        (errno.EDQUOT, "is full"),
        (errno.EROFS, "cannot be written"),
        (errno.EACCES, "cannot be written"),
        (errno.EIO, "cannot be used"),
    ],
)
def test_errors_of_the_disk_name_the_cache_and_a_way_out(number, said):
    error = from_os_error(OSError(number, "why"), Path("/cache"))
    assert said in error.message
    assert "/cache" in error.message
    assert "weights.cache" in (error.remedy or "")


def test_errors_survive_the_way_between_processes():
    for error in (FetchCancelledError(), UnreachableError("away", remedy="wait")):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), copy.message, copy.remedy) == (type(error), error.message, error.remedy)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3.0), ("", None), ("soon", None), ("-1", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)
def test_retry_after_counts_where_it_is_in_seconds(value, seconds):
    assert retry_after({"Retry-After": value}) == seconds


@pytest.mark.parametrize(
    ("status", "headers", "offer"),
    [
        (200, {"Content-Length": "10"}, (0, 10)),
        (200, {}, (0, None)),
        (206, {"Content-Range": "bytes 5-9/10"}, (5, 10)),
        (206, {"Content-Range": "bytes 5-9/*"}, (5, None)),
        (206, {}, (-1, None)),
    ],
)
def test_what_a_response_offers_is_read_from_its_head(status, headers, offer):
    assert _offer(status, headers) == offer


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (TimeoutError(), TransientError, "h sent nothing in time"),
        (aiohttp.ClientPayloadError("x"), TransientError, "cut the connection"),
        (aiohttp.ServerDisconnectedError(), TransientError, "broke .ServerDisconnectedError"),
        (aiohttp.InvalidURL("http://u:secret@h"), WeightsError, "not valid"),
    ],
)
def test_errors_of_the_network_speak_of_the_host_alone(error, kind, said):
    found = network_error(error, "h")
    assert isinstance(found, kind)
    assert "secret" not in str(found)
    assert said.split(" .")[0] in str(found)


PATIENCE = Patience(attempts=3, first_wait=0, longest_wait=0)


def test_patience_ends_after_failures_in_a_row():
    tries = []

    async def attempt() -> None:
        tries.append(1)
        raise TransientError("no")

    with pytest.raises(UnreachableError, match=r"^The thing could not be read: no \(3 tries\)"):
        asyncio.run(patiently(attempt, what="the thing", patience=PATIENCE))
    assert len(tries) == 3


def test_headway_renews_patience():
    reached = 0

    async def attempt() -> str:
        nonlocal reached
        reached += HEADWAY
        if reached < 10 * HEADWAY:
            raise TransientError("cut")
        return "whole"

    found = asyncio.run(patiently(attempt, what="it", patience=PATIENCE, headway=lambda: reached))
    assert found == "whole"
