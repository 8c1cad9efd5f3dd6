"""S3 against moto's server, and Google Cloud Storage against a stand-in, over real HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
import pytest
from moto.server import ThreadedMotoServer

from penstock.config import Weights, parse_source
from penstock.engine.weights import Patience, UnreachableError, fetch, inspect
from penstock.engine.weights.s3 import S3Remote
from penstock.errors import WeightsError
from support.http_server import Exchange, Site, serving
from support.hub import tiny_model

pytestmark = [
    pytest.mark.integration,
    # Google's library warns of an optional part of its own that nobody uses here.
    pytest.mark.filterwarnings("ignore:Please install grpcio-status:ImportWarning"),
]

QUICK = Patience(attempts=2, first_wait=0.01, longest_wait=0.05, connect=20, silence=20)
MODEL = tiny_model(megabytes=2, shards=2)
SHARD = "model-0-of-2.safetensors"


def get(source: str, settings: Weights, **more):
    with fetch(parse_source(source), settings, **({"patience": QUICK} | more)) as held:
        return held


def contents(path: Path) -> dict[str, bytes]:
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and not file.name.startswith(".")
    }


@pytest.fixture(scope="module")
def moto():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(moto, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-key")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = boto3.client("s3", endpoint_url=moto, region_name="us-east-1")
    client.create_bucket(Bucket="models")
    yield client
    for entry in client.list_objects_v2(Bucket="models").get("Contents", []):
        client.delete_object(Bucket="models", Key=entry["Key"])
    client.delete_bucket(Bucket="models")
    client.close()


@pytest.fixture
def s3(moto, tmp_path) -> Weights:
    return Weights.model_validate({"cache": str(tmp_path / "cache"), "s3": {"endpoint": moto}})


def upload(client, prefix: str, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        client.put_object(Bucket="models", Key=f"{prefix}{name}", Body=content)


def test_a_model_in_a_bucket_arrives_whole(bucket, s3):
    upload(bucket, "team/tiny/", MODEL | {"sub folder/ü.json": b"{}"})
    upload(bucket, "team/tiny2/", {"other": b"not ours"})
    bucket.put_object(Bucket="models", Key="team/tiny/", Body=b"")
    held = get("s3://models/team/tiny", s3)
    assert contents(held.path) == MODEL | {"sub folder/ü.json": b"{}"}
    assert held.path.name.startswith("s3--models--team--tiny--")
    assert get("s3://models/team/tiny", s3).path == held.path
    assert inspect(parse_source("s3://models/team/tiny"), s3).cached


def test_an_object_that_changed_makes_a_new_copy(bucket, s3):
    upload(bucket, "tiny/", MODEL)
    old = get("s3://models/tiny", s3)
    upload(bucket, "tiny/", {"config.json": b'{"new": 1}'})
    new = get("s3://models/tiny", s3)
    assert contents(new.path) == MODEL | {"config.json": b'{"new": 1}'}
    assert contents(old.path) == MODEL


def test_an_object_that_changes_while_it_is_read_is_listed_and_read_anew(bucket, s3, monkeypatch, caplog):
    upload(bucket, "tiny/", MODEL)
    changed = {SHARD: b"new" * 1000}
    sign = S3Remote._sign

    def meddle(remote, file):
        if file.path == SHARD and file.size != 3000:
            upload(bucket, "tiny/", changed)
        return sign(remote, file)

    monkeypatch.setattr(S3Remote, "_sign", meddle)
    assert contents(get("s3://models/tiny", s3).path) == MODEL | changed
    assert "changed while it was read" in caplog.text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("s3://nowhere/tiny", "no bucket 'nowhere' on S3"),
        ("s3://models/tinny", "s3://models/tinny holds no files"),
    ],
)
def test_what_is_not_there_is_named(bucket, s3, source, message):
    with pytest.raises(WeightsError, match=message):
        get(source, s3)


def test_a_service_that_is_away_is_unreachable(tmp_path, monkeypatch, bucket):
    settings = Weights.model_validate({"cache": str(tmp_path), "s3": {"endpoint": "http://127.0.0.1:9"}})
    with pytest.raises(UnreachableError, match="does not answer"):
        get("s3://models/tiny", settings)


@pytest.fixture
def strict_s3():
    """Refuses everything, with the code that it is told."""

    class Strict(Site):
        code = "AccessDenied"

        def answer(self, exchange: Exchange) -> None:
            exchange.reply(403, f"<Error><Code>{self.code}</Code><Message>no</Message></Error>".encode())

    site = Strict()
    with serving(site):
        yield site


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDenied", "may not read s3://models/tiny/ .AccessDenied.*\n.*s3:ListBucket"),
        ("InvalidAccessKeyId", "does not accept the credentials that boto3 found"),
        ("ExpiredToken", "does not accept the credentials that boto3 found"),
        ("SomethingElse", "refused to read s3://models/tiny/ .SomethingElse"),
    ],
)
def test_a_refusal_says_what_is_missing_and_no_secret(strict_s3, tmp_path, monkeypatch, code, message):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-key")
    strict_s3.code = code
    settings = Weights.model_validate({"cache": str(tmp_path), "s3": {"endpoint": strict_s3.address}})
    with pytest.raises(WeightsError, match=message) as caught:
        get("s3://models/tiny", settings)
    assert "a-secret-key" not in str(caught.value)
    assert "someone" not in str(caught.value)


def test_without_credentials_a_private_bucket_asks_for_them(strict_s3, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    settings = Weights.model_validate({"cache": str(tmp_path), "s3": {"endpoint": strict_s3.address}})
    with pytest.raises(WeightsError, match="not public, and boto3 found no credentials"):
        get("s3://models/tiny", settings)


@pytest.mark.parametrize(
    ("source", "module", "remedy"),
    [("s3://b/p", "s3", r"pip install 'penstock\[s3\]'"), ("gs://b/p", "gcs", r"pip install 'penstock\[gcs\]'")],
)
def test_a_library_that_is_not_installed_is_named_with_its_command(tmp_path, monkeypatch, source, module, remedy):
    monkeypatch.delitem(sys.modules, f"penstock.engine.weights.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setitem(sys.modules, "google.cloud.storage", None)
    with pytest.raises(WeightsError, match=remedy):
        get(source, Weights(cache=str(tmp_path)))


class Gcs(Site):
    """Objects of buckets, listed two a page, read by generation. A test holds it to nothing but Google's client."""

    def __init__(self) -> None:
        super().__init__()
        self.buckets: dict[str, dict[str, tuple[int, bytes]]] = {}
        self.status: int | None = None
        self.before_download: dict[str, Callable[[], None]] = {}

    def put(self, bucket: str, name: str, content: bytes) -> None:
        objects = self.buckets.setdefault(bucket, {})
        objects[name] = (objects.get(name, (1000, b""))[0] + 1, content)

    def answer(self, exchange: Exchange) -> None:
        url = urlsplit(exchange.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        parts = url.path.split("/")
        bucket = parts[parts.index("b") + 1]
        if self.status is not None or bucket not in self.buckets:
            status = self.status or 404
            exchange.reply(status, json.dumps({"error": {"code": status, "message": "no"}}).encode())
        elif "/download/" in url.path:
            name = unquote(parts[-1])
            self.before_download.pop(name, lambda: None)()
            generation, content = self.buckets[bucket].get(name, (0, b""))
            if str(generation) != query["generation"]:
                exchange.reply(404, b"No such object")
                return
            exchange.send_file(content, headers={}, fault=self.fault_for(name), name=name)
        else:
            self._list(exchange, bucket, query)

    def _list(self, exchange: Exchange, bucket: str, query: dict[str, str]) -> None:
        names = sorted(name for name in self.buckets[bucket] if name.startswith(query.get("prefix", "")))
        start = int(query.get("pageToken", 0))
        items = []
        for name in names[start : start + 2]:
            generation, content = self.buckets[bucket][name]
            digest = base64.b64encode(hashlib.md5(content).digest()).decode()
            items.append({"name": name, "size": str(len(content)), "md5Hash": digest, "generation": str(generation)})
        more = {"nextPageToken": str(start + 2)} if start + 2 < len(names) else {}
        exchange.reply(200, json.dumps({"items": items, **more}).encode(), {"Content-Type": "application/json"})


@pytest.fixture
def gcs():
    site = Gcs()
    with serving(site):
        for name, content in MODEL.items():
            site.put("models", f"team/tiny/{name}", content)
        yield site


@pytest.fixture
def google(gcs, tmp_path) -> Weights:
    return Weights.model_validate({"cache": str(tmp_path / "cache"), "gcs": {"endpoint": gcs.address}})


def test_a_model_in_a_google_bucket_arrives_whole_and_resumed(gcs, google):
    gcs.fail(f"team/tiny/{SHARD}", cut_after=1000)
    held = get("gs://models/team/tiny", google)
    assert contents(held.path) == MODEL
    assert gcs.sent[f"team/tiny/{SHARD}"] == len(MODEL[SHARD])
    assert get("gs://models/team/tiny", google).path == held.path


def test_a_google_object_with_wrong_bytes_is_never_served(gcs, google):
    gcs.fail(f"team/tiny/{SHARD}", corrupt=True, times=2)
    with pytest.raises(WeightsError, match="arrived wrong, twice: its md5 differs"):
        get("gs://models/team/tiny", google)


def test_a_google_object_that_changes_while_it_is_read_restarts_that_file_alone(gcs, google):
    other = "model-1-of-2.safetensors"
    gcs.put("models", f"team/tiny/{other}", b"larger" * 2**20)
    gcs.before_download[f"team/tiny/{SHARD}"] = lambda: gcs.put("models", f"team/tiny/{SHARD}", b"new" * 1000)
    held = get("gs://models/team/tiny", google, patience=replace(QUICK, parallel=1))
    assert contents(held.path) == MODEL | {SHARD: b"new" * 1000, other: b"larger" * 2**20}
    assert gcs.sent[f"team/tiny/{other}"] == 6 * 2**20


@pytest.mark.parametrize(
    ("status", "source", "message"),
    [
        (None, "gs://nowhere/tiny", "no bucket 'nowhere' on Google Cloud Storage"),
        (403, "gs://models/team/tiny", "may not read gs://models/team/tiny/ .403"),
    ],
)
def test_a_refusal_by_google_says_what_is_missing(gcs, google, status, source, message):
    gcs.status = status
    with pytest.raises(WeightsError, match=message):
        get(source, google)
