"""Options of the document → vLLM's command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.options import OWNED, arguments, normalise
from penstock.errors import DocumentError


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"max_model_len": 8192}, ["--max-model-len=8192"]),
        ({"gpu_memory_utilization": 0.85}, ["--gpu-memory-utilization=0.85"]),
        ({"enforce_eager": True}, ["--enforce-eager"]),
        ({"enable_prefix_caching": False}, ["--no-enable-prefix-caching"]),
        ({"disable_log_stats": False}, []),
        ({"disable_log_stats": True}, ["--disable-log-stats"]),
        ({"chat_template": None}, []),
        ({"dtype": "auto"}, ["--dtype=auto"]),
        ({"swap_space": -1}, ["--swap-space=-1"]),
        ({"stop_words": ["a", "b"]}, ["--stop-words", "a", "b"]),
        ({"stop_words": []}, []),
        (
            {"speculative_config": {"method": "ngram", "num_speculative_tokens": 5}},
            ['--speculative-config={"method":"ngram","num_speculative_tokens":5}'],
        ),
        ({"rope": {"a": {"b": [1, True, None]}}}, ['--rope={"a":{"b":[1,true,null]}}']),
        ({"lora_modules": [{"name": "sql", "path": "/l"}]}, ["--lora-modules", '{"name":"sql","path":"/l"}']),
        ({"allowed_origins": ["*"]}, ['--allowed-origins=["*"]']),
        ({"middleware": ["a.B", "c.D"]}, ["--middleware=a.B", "--middleware=c.D"]),
    ],
)
def test_every_kind_of_value_has_its_form(options: dict[str, Any], expected: list[str]) -> None:
    assert arguments(options) == expected


@pytest.mark.parametrize("name", sorted(OWNED))
@pytest.mark.parametrize("spelling", [lambda n: n, lambda n: n.replace("_", "-"), lambda n: f"--{n}"])
def test_what_penstock_owns_is_refused_with_the_reason(name: str, spelling: Any) -> None:
    with pytest.raises(DocumentError) as caught:
        normalise({spelling(name): "x"}, model="demo")
    assert f"models.demo.options.{spelling(name)}" in caught.value.message
    assert OWNED[name] in caught.value.message
    assert caught.value.remedy == f"Remove {spelling(name)}."


def test_an_option_given_in_two_spellings_is_refused() -> None:
    with pytest.raises(DocumentError, match="given twice"):
        normalise({"max_model_len": 1, "max-model-len": 2}, model="demo")


def test_dashes_and_underscores_mean_the_same() -> None:
    assert normalise({"max-model-len": 1, "--dtype": "auto"}, model="demo") == {"max_model_len": 1, "dtype": "auto"}


@given(st.text(alphabet="abcxyz_", min_size=1), st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_a_map_survives_as_json(key: str, value: Any) -> None:
    (argument,) = arguments({"extra": {key: value}})
    assert json.loads(argument.removeprefix("--extra=")) == {key: value}
