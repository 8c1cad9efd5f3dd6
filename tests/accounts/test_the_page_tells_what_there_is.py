"""docs/accounts.md names documents, commands and answers that there are."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from penstock.cli.keys import keys
from penstock.config import Document
from penstock.gateway.admin_operations import OPERATIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "accounts.md").read_text()
API = (ROOT / "docs" / "api.md").read_text()


def test_its_documents_are_valid():
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert blocks
    for block in blocks:
        Document.model_validate(yaml.safe_load(block))


def test_its_commands_exist_and_none_is_left_out():
    named = set(re.findall(r"`(?:penstock keys )?([a-z]+)`", PAGE)) | set(re.findall(r"penstock keys ([a-z]+)", PAGE))
    known = {
        command.name or (command.callback.__name__ if command.callback else "") for command in keys.registered_commands
    }
    assert known <= named


def test_its_answers_are_those_of_the_api():
    codes = set(re.findall(r"\| [0-9]{3} `([a-z_]+)`", PAGE))
    assert codes
    assert {code for code in codes if f"`{code}`" not in API} == set()


def test_every_operation_is_listed():
    assert {operation.path for operation in OPERATIONS if operation.path.rpartition("/")[2] not in PAGE} == set()
