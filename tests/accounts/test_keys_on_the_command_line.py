"""`penstock keys`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.accounts import secret
from penstock.accounts.address import Address
from penstock.accounts.listed import read_file
from penstock.cli.main import main

COMMANDS = ["create", "list", "show", "rotate", "limit", "disable", "enable", "delete", "log"]


class Shell:
    def __init__(self, capsys: pytest.CaptureFixture[str], where: list[str]) -> None:
        self._capsys = capsys
        self._where = where
        self.errors = ""

    def __call__(self, *arguments: str, status: int = 0) -> str:
        assert main(["keys", *arguments, *self._where]) == status
        said = self._capsys.readouterr()
        self.errors = said.err
        return said.out

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def shell(address: Address, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("COLUMNS", "200")
    if address.is_sqlite:
        return Shell(capsys, ["--sqlite", str(address.url.database)])
    return Shell(capsys, ["--database-env", "TEST_DATABASE"])


def test_the_life_of_a_key(shell: Shell):
    key = shell("create", "alice", "--owner", "research", "--model", "qwen*", "--expires", "90d").strip()
    assert secret.is_whole(key.encode())
    assert "shown only now" in shell.errors
    table = shell("list")
    for word in ("alice", "research", "qwen*", "active"):
        assert word in table
    other = shell("rotate", "alice", "--overlap", "7d").strip()
    assert secret.is_whole(other.encode())
    assert other != key
    assert "disabled: alice" in shell("disable", "alice")
    assert "disabled" in shell("list")
    assert "enabled: alice" in shell("enable", "alice")
    shown = shell("show", "alice")
    for word in ("older keys end", "create", "rotate", "disable", "enable", "cli:"):
        assert word in shown
    assert "deleted: alice" in shell("delete", "alice")
    assert "There are no keys" in shell("list")
    assert "delete" in shell("log")


def test_json_is_what_http_says(shell: Shell):
    made = shell.json("create", "alice", "--role", "admin", "--role", "user")
    assert secret.is_whole(made.pop("key").encode())
    assert shell.json("list") == [made]
    assert shell.json("show", made["id"]) == made
    assert made["roles"] == ["admin", "user"]
    assert "key" in shell.json("rotate", "alice")
    assert shell.json("disable", "alice")["state"] == "disabled"
    assert [change["action"] for change in shell.json("log", "--limit", "2")] == ["disable", "rotate"]


def test_no_key_is_shown_a_second_time(shell: Shell):
    key = shell("create", "alice").strip()
    assert key not in shell("list") + shell("show", "alice") + shell("log")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "nobody"], "There is no key 'nobody'"),
        (["create", ""], "is no name of a key"),
        (["create", "a", "--model", "[x]"], "is no pattern of models"),
        (["create", "a", "--role", "root"], "roles"),
        (["create", "a", "--expires", "soon"], "--expires"),
        (["create", "a", "--owner", "two words"], "is no owner"),
        (["rotate", "a", "--overlap", "long"], "overlap"),
        (["rotate", "a", "--overlap", "91d"], "overlap"),
    ],
)
def test_a_mistake_ends_with_2_and_a_sentence(shell: Shell, arguments: list[str], said: str):
    shell(*arguments, status=2)
    assert said in shell.errors
    assert "Traceback" not in shell.errors


def test_a_name_is_given_once(shell: Shell):
    shell("create", "alice")
    shell("create", "alice", status=2)
    assert "There is a key with the name 'alice' already" in shell.errors


def test_two_stores_are_one_too_many(shell: Shell):
    shell("list", "--database-env", "X", "--sqlite", "/y", status=2)
    assert "name two stores" in shell.errors


def test_a_name_with_markup_is_shown_as_it_is(shell: Shell):
    shell("create", "[bold]x[/bold]")
    assert "[bold]x[/bold]" in shell("list")


def test_the_default_store_is_this_machines(state_folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["keys", "create", "alice"]) == 0
    assert (state_folder / "accounts.db").exists()


def test_an_entry_is_printed_and_kept_nowhere(state_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["keys", "create", "ci", "--print-entry", "--model", "demo", "--expires", "2030-01-01T00:00:00Z"]) == 0
    said = capsys.readouterr()
    key, entry = said.out.strip(), said.err.split("names:\n", 1)[1]
    assert key not in entry
    (tmp_path / "keys.yaml").write_text(entry)
    listed = read_file(tmp_path / "keys.yaml")["ci"]
    assert listed.hashes == [secret.written(secret.digest(key.encode()))]
    assert listed.models == ["demo"]
    assert yaml.safe_load(entry)["ci"]["expires"] == "2030-01-01T00:00:00Z"
    assert not (state_folder / "accounts.db").exists()


def test_a_store_that_cannot_be_reached_ends_with_3(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("NO_DATABASE", raising=False)
    assert main(["keys", "list", "--database-env", "NO_DATABASE"]) == 3
    assert "NO_DATABASE is empty or not set" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]):
    assert main(["keys", command, "--help"]) == 0
    assert f"Example: penstock keys {command}" in capsys.readouterr().out


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]):
    assert main(["keys", "--help"]) == 0
    said = capsys.readouterr().out
    assert all(command in said for command in COMMANDS)
    assert "Example: penstock keys create" in said
