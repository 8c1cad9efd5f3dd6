"""What holds for every command: its help has an example, and a wrong document is told in a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from penstock.cli.main import main

COMMANDS = [
    "up",
    "apply",
    "down",
    "status",
    "chat",
    "search",
    "pull",
    "list",
    "rm",
    "usage",
    "doctor",
    "plan",
    "render",
    "schema",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"Example: penstock {command}" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["render", "pull"])
def test_an_unknown_key_of_the_document_ends_with_2_and_a_sentence(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "penstock.yaml"
    document.write_text("modles: {}\n", encoding="utf-8")
    assert main([command, "-f", str(document)]) == 2
    told = capsys.readouterr().err
    assert "modles" in told
    assert "models" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("command", ["render", "pull"])
def test_without_a_document_a_command_says_how_to_name_one(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command]) == 2
    assert "-f" in capsys.readouterr().err


@pytest.mark.parametrize("command", [*COMMANDS, "nonsense"])
def test_an_unknown_option_ends_with_2_and_no_traceback(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--no-such-option"]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.integration
def test_importing_a_command_of_ours_imports_neither_ray_nor_torch() -> None:
    code = (
        "import sys\n"
        "import penstock.cli.chat, penstock.cli.doctor, penstock.cli.pull, penstock.cli.render, penstock.cli.schema\n"
        "print(sorted({'ray', 'torch', 'vllm', 'boto3', 'huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=180, check=True)
    assert done.stdout.strip() == "[]"
