"""Files on their way in, without a network."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.weights import RemoteFile
from penstock.engine.weights.digest import digest_for, matches
from penstock.engine.weights.files import Checksum
from penstock.engine.weights.incoming import Incoming

CONTENT = b"hello world\n"


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        ("sha256", hashlib.sha256(CONTENT).hexdigest()),
        ("md5", hashlib.md5(CONTENT).hexdigest()),
        ("git-sha1", "3b18e512dba79e4c8300dd08aeb37f8e728b8dad"),  # `git hash-object`
    ],
)
def test_each_promised_digest_tells_right_from_wrong(algorithm, digest):
    file = RemoteFile("f", len(CONTENT), Checksum(algorithm, digest))
    for content, right in ((CONTENT, True), (b"Hello world\n", False)):
        found = digest_for(file)
        found.update(content)
        assert matches(file, found) is right


def test_without_a_promise_any_bytes_of_the_right_size_are_right(tmp_path):
    incoming = Incoming(RemoteFile("f", 3), tmp_path / "in" / "f", tmp_path / "f")
    incoming.open()
    incoming.write(b"abc")
    assert incoming.is_right()
    incoming.accept()
    assert (tmp_path / "f").read_bytes() == b"abc"
    assert not (tmp_path / "in" / "f").exists()


@given(content=st.binary(max_size=2000), cuts=st.lists(st.integers(0, 2000), max_size=5))
def test_a_file_cut_anywhere_any_number_of_times_ends_whole(tmp_path_factory, content, cuts):
    folder: Path = tmp_path_factory.mktemp("incoming")
    file = RemoteFile("f", len(content), Checksum("sha256", hashlib.sha256(content).hexdigest()))
    for cut in [*sorted(cuts), len(content)]:
        incoming = Incoming(file, folder / "in", folder / "f")
        incoming.open()
        while incoming.catch_up():
            pass
        incoming.write(content[incoming.size : max(cut, incoming.size)])
        if incoming.size == file.size:
            break
        incoming.close()
    assert incoming.is_right()
    incoming.accept()
    assert (folder / "f").read_bytes() == content


def test_what_is_longer_than_the_file_cannot_be_its_beginning(tmp_path):
    (tmp_path / "in").write_bytes(b"too long")
    incoming = Incoming(RemoteFile("f", 3), tmp_path / "in", tmp_path / "f")
    incoming.open()
    assert incoming.size == 0
    incoming.close()


def test_a_closed_file_takes_nothing_more(tmp_path):
    incoming = Incoming(RemoteFile("f", 3), tmp_path / "in", tmp_path / "f")
    incoming.close()
    incoming.open()
    with pytest.raises(RuntimeError):
        incoming.write(b"abc")
    assert not (tmp_path / "in").exists()
