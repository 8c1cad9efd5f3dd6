"""`penstock plan`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from penstock.cli.main import main

DOCUMENT = """\
models:
  chat: {source: "hf://acme/chat-8B", hardware: nvidia-l4, replicas: {min: 0, max: 4}}
  large: {source: "hf://acme/large-70B", hardware: nvidia-h100, gpus: 4}
"""


@pytest.fixture
def document(tmp_path: Path) -> str:
    path = tmp_path / "penstock.yaml"
    path.write_text(DOCUMENT, encoding="utf-8")
    return str(path)


def test_a_plan_shows_nodes_weights_and_cost(document: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-f", document, "--cloud", "aws", "--offline"]) == 0
    told = capsys.readouterr().out
    for word in ("g6.xlarge", "p5.48xlarge", "chat", "about 14.9 GiB", "fits", "idle", "at most", "GPUs: 4 at least"):
        assert word in told


def test_a_plan_in_json_is_complete(document: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-f", document, "--cloud", "gcp", "--offline", "--spot", "nvidia-l4", "--output", "json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["cloud"] == "gcp"
    assert [(nodes["profile"], nodes["gpus"], nodes["spot"]) for nodes in plan["nodes"]] == [
        ("nvidia-h100", 4, False),
        ("nvidia-l4", 1, True),
        (None, 0, False),
    ]
    assert plan["gpusLeast"] == 4
    assert [(said["model"], said["byName"], said["verdict"]) for said in plan["weights"]] == [
        ("chat", True, "fits"),
        ("large", True, "fits"),
    ]
    assert plan["cost"]["idle"] < plan["cost"]["least"] < plan["cost"]["most"]


def test_a_plan_that_cannot_work_ends_with_1_and_says_why(document: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-f", document, "--cloud", "aws", "--offline", "--set", "models.large.gpus=1"]) == 1
    assert "models.large: about 130.4 GiB of weights do not fit" in " ".join(capsys.readouterr().out.split())


def test_a_profile_of_ones_own_is_given_its_type(document: str, capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--set", "hardware.big.resources.nvidia\\.com/gpu=1", "--set", "models.large.hardware=big"]
    command = ["plan", "-f", document, "--cloud", "aws", "--offline", *own]
    assert main(command) == 2
    assert "--gpu big=" in capsys.readouterr().err
    assert main([*command, "--gpu", "big=nvidia-h200"]) == 0
    assert "p5en.48xlarge" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--cloud", "azure"], "azure"),
        ([], "--cloud"),
        (["--cloud", "aws", "--gpu", "big"], "PROFILE=TYPE"),
        (["--cloud", "aws", "--gpu", "nvidia-l4=nvidia-l5"], "did you mean 'nvidia-l4'"),
        (["--cloud", "aws", "--spot", "nvidia-l44"], "did you mean 'nvidia-l4'"),
        (["--cloud", "aws", "--prices", "/nowhere/prices.yaml"], "there is no such file"),
        (["--cloud", "aws", "--output", "xml"], "xml"),
    ],
)
def test_wrong_options_end_with_2_and_a_sentence(
    document: str, options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "-f", document, "--offline", *options]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert told in said
    assert "Traceback" not in said


def test_a_table_that_the_user_changed_is_counted_with(
    document: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text("currency: EUR\nalways: {controlPlane: {price: 1000}}\n", encoding="utf-8")
    assert main(["plan", "-f", document, "--cloud", "aws", "--offline", "--prices", str(prices)]) == 0
    assert "EUR an hour: 1000." in capsys.readouterr().out
