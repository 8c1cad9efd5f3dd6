"""`penstock render` and `penstock schema`."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from penstock.cli.main import main
from penstock.config import Model
from penstock.engine.command import Place, engine_command
from penstock.engine.shell import as_shell

DOCUMENT = """\
models:
  demo:
    source: hf://acme/tiny
    aliases: [default]
    options: {max_model_len: 512, chat_template: "it's a $HOME {{ x }}"}
    env: {VLLM_CPU_KVCACHE_SPACE: "1", GREETING: "two words"}
  made-up: {engine: simulator}
"""


@pytest.fixture
def document(tmp_path: Path) -> str:
    path = tmp_path / "penstock.yaml"
    path.write_text(DOCUMENT, encoding="utf-8")
    return str(path)


def test_rendering_prints_one_application_per_model_and_the_gateway(
    document: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", "-f", document]) == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert [found["name"] for found in config["applications"]] == ["model-demo", "model-made-up", "gateway"]
    assert config["proxy_location"] == "HeadOnly"


def test_local_rendering_is_what_up_does(document: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "--local", "-f", document]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["proxy_location"] == "Disabled"


def test_a_setting_changes_what_is_rendered(document: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "-f", document, "--set", "models.demo.replicas=3"]) == 0
    demo = yaml.safe_load(capsys.readouterr().out)["applications"][0]
    assert demo["deployments"][0]["autoscaling_config"]["min_replicas"] == 3


def test_a_configuration_that_serve_would_refuse_is_told_in_a_sentence() -> None:
    from penstock.assembly.serve_schema import check
    from penstock.errors import DocumentError

    with pytest.raises(DocumentError, match=r"applications\.0\.deployments\.0: .*num_replicas"):
        check({"applications": [{"import_path": "a:b", "deployments": [{"name": "x", "num_replicas": "many"}]}]})


@pytest.mark.parametrize("name", ["demo", "default"])
def test_the_engine_is_found_by_its_name_and_by_its_alias(
    name: str, document: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", "-f", document, "--engine", name]) == 0
    printed = capsys.readouterr().out
    assert "--served-model-name demo default" in printed
    assert "VLLM_CPU_KVCACHE_SPACE=1" in printed


def test_an_unknown_engine_is_told_with_the_nearest_name(document: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "-f", document, "--engine", "demmo"]) == 2
    assert "did you mean 'demo'?" in capsys.readouterr().err


def test_the_printed_command_holds_no_token() -> None:
    place = Place("127.0.0.1", 8000, token="a-secret")
    command = engine_command("demo", Model(source="hf://acme/tiny"), gpus=0, weights="/w", place=place)
    assert "a-secret" not in as_shell(command)


@pytest.mark.integration
def test_a_shell_reads_the_printed_command_as_the_engines_arguments() -> None:
    options = {"chat_template": "it's a $HOME `date` {{ x }}", "hf_overrides": {"a": [1, "b c"]}}
    model = Model(source="hf://acme/tiny", options=options, env={"GREETING": "two $words"})
    command = engine_command("demo", model, gpus=0, weights="/w", place=Place("127.0.0.1", 8000, token=""))
    # The program is replaced by one that prints what it was given.
    shown = as_shell(command).replace(shlex.quote(command.arguments[0]), "printf '%s\\0'", 1)
    done = subprocess.run(
        ["sh", "-c", shown.replace("env ", "export ", 1).replace(" \\\n  printf", "; printf", 1)],
        capture_output=True,
        text=True,
        env={"PENSTOCK_ENGINE_TOKEN": "x", "PATH": "/usr/bin:/bin", "HOME": "/nowhere"},
        timeout=30,
        check=True,
    )
    assert done.stdout.split("\0")[:-1] == command.arguments[1:]


def test_the_schema_is_a_json_schema_of_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert "models" in schema["properties"]
