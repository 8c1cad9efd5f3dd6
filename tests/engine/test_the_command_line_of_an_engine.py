"""Model → process: arguments, environment, and what of it is secret."""

from __future__ import annotations

import json

from penstock.config import Model
from penstock.engine.command import TOKEN_GUARD, Place, engine_command, overlaid
from penstock.environment import ENGINE_TOKEN

PLACE = Place("10.0.0.7", 4242, "secret-token")


def _value(arguments: list[str], flag: str) -> str:
    return arguments[arguments.index(flag) + 1]


def test_vllm_gets_the_weights_the_place_and_all_names() -> None:
    model = Model(source="hf://x/y", aliases=["default", "gpt"], options={"max_model_len": 1024})
    command = engine_command("demo", model, gpus=0, weights="/cache/y", place=PLACE, python="py")
    assert command.arguments[:3] == ["py", "-m", "vllm.entrypoints.openai.api_server"]
    assert _value(command.arguments, "--model") == "/cache/y"
    assert _value(command.arguments, "--host") == "10.0.0.7"
    assert _value(command.arguments, "--port") == "4242"
    names = command.arguments.index("--served-model-name")
    assert command.arguments[names + 1 : names + 4] == ["demo", "default", "gpt"]
    assert "--max-model-len=1024" in command.arguments


def test_the_token_is_in_the_environment_and_nowhere_else() -> None:
    command = engine_command("demo", Model(source="/m"), gpus=0, weights="/m", place=PLACE)
    assert command.environment[ENGINE_TOKEN] == "secret-token"
    assert "secret-token" not in " ".join(command.arguments)
    assert "secret-token" not in repr(command)
    assert "secret-token" not in repr(PLACE)


def test_the_guard_is_the_outermost_middleware() -> None:
    model = Model(source="/m", options={"middleware": ["mine.Own"]})
    arguments = engine_command("demo", model, gpus=0, weights="/m", place=PLACE).arguments
    assert [a for a in arguments if a.startswith("--middleware")] == [
        "--middleware=mine.Own",
        f"--middleware={TOKEN_GUARD}",
    ]


def test_several_gpus_are_used_in_parallel_unless_the_options_say_how() -> None:
    def parallel(options: dict[str, object], gpus: int) -> list[str]:
        model = Model(source="/m", options=options)
        arguments = engine_command("m", model, gpus=gpus, weights="/m", place=PLACE).arguments
        return [a for a in arguments if "parallel" in a]

    assert parallel({}, 1) == []
    assert parallel({}, 4) == ["--tensor-parallel-size=4"]
    assert parallel({"pipeline-parallel-size": 4}, 4) == ["--pipeline-parallel-size=4"]


def test_the_models_environment_wins_over_ours_but_not_over_the_token() -> None:
    model = Model(source="/m", env={"HF_HUB_OFFLINE": "0", ENGINE_TOKEN: "mine"})
    environment = overlaid({"PATH": "/bin"}, engine_command("m", model, gpus=0, weights="/m", place=PLACE))
    assert environment["HF_HUB_OFFLINE"] == "0"
    assert environment[ENGINE_TOKEN] == "secret-token"
    assert environment["PATH"] == "/bin"


def test_the_simulator_gets_its_options_as_one_json_text() -> None:
    model = Model(engine="simulator", options={"tokens_per_second": 5})
    arguments = engine_command("sim", model, gpus=0, weights=None, place=PLACE).arguments
    assert arguments[1:3] == ["-m", "penstock.simulator"]
    assert json.loads(_value(arguments, "--options-json")) == {"tokens_per_second": 5}


def test_an_ipv6_place_has_brackets_in_its_address() -> None:
    assert Place("fd00::1", 80, "").base_url == "http://[fd00::1]:80"
