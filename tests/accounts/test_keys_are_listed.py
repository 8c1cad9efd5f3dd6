"""Keys of the document and of a file: what is read, what is refused, and that changes are seen."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from penstock.accounts import secret
from penstock.accounts.account import Account
from penstock.accounts.listed import KeysFile, accounts_of, read_file
from penstock.accounts.records import NewKey
from penstock.accounts.service import listed_entry
from penstock.errors import DocumentError
from support.documents import loaded, refusal, write
from support.keys import hash_of

KEY, OTHER = secret.new_key(), secret.new_key()


def test_a_key_of_the_document_has_what_it_says(tmp_path: Path):
    document = loaded(
        tmp_path,
        f"""\
        accounts:
          keys:
            ci:
              hashes: ["{hash_of(KEY)}", "{hash_of(OTHER)}"]
              owner: platform
              models: [qwen*, default]
              roles: [user, admin]
              expires: 2027-01-31T12:00:00+01:00
        """,
    )
    accounts = accounts_of(document.accounts.keys, "document")
    assert set(accounts) == {secret.digest(KEY.encode()), secret.digest(OTHER.encode())}
    assert accounts[secret.digest(KEY.encode())] == Account(
        id="document:ci",
        name="ci",
        owner="platform",
        models=("qwen*", "default"),
        roles=frozenset(["user", "admin"]),
        until=datetime(2027, 1, 31, 11, tzinfo=UTC).timestamp(),
    )


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{hashes: []}", "accounts.keys.ci.hashes"),
        ("{}", "accounts.keys.ci.hashes: is missing"),
        ("{hashes: ['sha256:abc']}", "this is no hash of a key"),
        ("{hashes: [x], models: []}", "accounts.keys.ci.models"),
        ("{hashes: [x], roles: [root]}", "Allowed are user, admin"),
        ("{hashes: [x], expires: tomorrow}", "'tomorrow' is no time"),
        ("{hashes: [x], expires: 2027-01-31T12:00:00}", "no offset from UTC"),
        ("{hashes: [x], owner: 'a b'}", "is no owner"),
        ("{hashes: [x], models: ['[a]']}", "is no pattern of models"),
        ("{hashes: [x], model: a}", "unknown key `model`; did you mean `models`?"),
    ],
)
def test_what_is_wrong_with_a_listed_key_is_told(tmp_path: Path, entry: str, said: str):
    entry = entry.replace("[x]", f"['{hash_of(KEY)}']")
    assert said in refusal(tmp_path, f"accounts: {{keys: {{ci: {entry}}}}}")


def test_a_key_in_the_place_of_its_hash_is_not_shown(tmp_path: Path):
    told = refusal(tmp_path, f"accounts: {{keys: {{ci: {{hashes: ['{KEY}']}}}}}}")
    assert "If it is the key itself, make another" in told
    assert KEY not in told
    assert KEY[4:30] not in told


def test_an_entry_that_was_printed_is_read(tmp_path: Path):
    key, entry = listed_entry(
        NewKey(name="ci", owner="platform", models=["a*"], expires=datetime(2030, 1, 1, tzinfo=UTC))
    )
    text = yaml.safe_dump({"ci": entry.model_dump(mode="json", by_alias=True, exclude_defaults=True)})
    assert key not in text
    assert read_file(write(tmp_path, text, "keys.yaml")) == {"ci": entry}
    assert secret.digest(key.encode()) in accounts_of({"ci": entry}, "file")


class Watched:
    def __init__(self, path: Path) -> None:
        self.names: list[list[str]] = []
        self.file = KeysFile(path, lambda accounts: self.names.append([each.name for each in accounts.values()]))


def listing(*names: str) -> str:
    return "".join(f"{name}: {{hashes: ['{hash_of(name)}']}}\n" for name in names) or "{}\n"


def test_a_file_is_read_anew_when_it_changes_and_only_then(tmp_path: Path):
    path = write(tmp_path, listing("a"), "keys.yaml")
    watched = Watched(path)
    watched.file.load()
    watched.file.look()
    path.write_text(listing("a", "b"))
    watched.file.look()
    watched.file.look()
    path.write_text(listing())
    watched.file.look()
    assert watched.names == [["a"], ["a", "b"], []]


def test_a_mounted_secret_that_is_turned_to_another_folder_is_read(tmp_path: Path):
    for version, name in (("v1", "old"), ("v2", "new")):
        write(tmp_path / version, listing(name), "keys.yaml")
    (tmp_path / "data").symlink_to("v1")
    watched = Watched(tmp_path / "data" / "keys.yaml")
    watched.file.load()
    (tmp_path / "turned").symlink_to("v2")
    os.replace(tmp_path / "turned", tmp_path / "data")  # noqa: PTH105
    watched.file.look()
    assert watched.names == [["old"], ["new"]]


@pytest.mark.parametrize("content", ["a: [", "- a\n", "a: {hashes: [x]}\n", None])
def test_a_file_that_cannot_be_read_any_more_leaves_the_keys_as_they_were(
    tmp_path: Path, content: str | None, caplog: pytest.LogCaptureFixture
):
    path = write(tmp_path, listing("a"), "keys.yaml")
    watched = Watched(path)
    watched.file.load()
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with caplog.at_level(logging.ERROR):
        watched.file.look()
        watched.file.look()
    assert watched.names == [["a"]]
    assert len(caplog.records) == 1
    path.write_text(listing("b"))
    watched.file.look()
    assert watched.names == [["a"], ["b"]]


def test_a_file_that_cannot_be_read_at_the_start_is_an_error(tmp_path: Path):
    with pytest.raises(DocumentError, match=r"keys\.yaml"):
        KeysFile(tmp_path / "keys.yaml", lambda _: None).load()
    path = write(tmp_path, f"ci: {{hashes: ['{KEY}']}}\n", "keys.yaml")
    with pytest.raises(DocumentError, match="this is no hash of a key") as caught:
        KeysFile(path, lambda _: None).load()
    assert KEY not in str(caught.value)
