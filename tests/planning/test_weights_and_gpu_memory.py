"""Whether weights fit into GPUs, by what is known of their size."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.config import Document
from penstock.planning.estimate import size_by_name
from penstock.planning.plan import WeightsSaid, plan
from penstock.planning.tables import load

AWS = load("aws")
GIB = 2**30


def weights_of(size: float | None, **model: Any) -> WeightsSaid:
    document = Document.model_validate(
        {"models": {"chat": {"source": "hf://acme/chat", "hardware": "nvidia-l4", **model}}}
    )
    sizes = {} if size is None else {"chat": int(size * GIB)}
    (said,) = plan(document, "aws", AWS, types={}, spot=[], sizes=sizes).weights
    return said


@pytest.mark.parametrize(
    ("size", "verdict"), [(10, "fits"), (20, "tight"), (22, "too large"), (30, "too large"), (None, "unknown")]
)
def test_weights_are_held_to_what_vllm_takes_of_one_gpu(size: float | None, verdict: str) -> None:
    assert weights_of(size).verdict == verdict


def test_two_gpus_hold_what_one_does_not() -> None:
    assert weights_of(30, gpus=2).verdict == "fits"


def test_a_smaller_share_for_vllm_holds_less() -> None:
    assert weights_of(15).verdict == "fits"
    assert weights_of(15, options={"gpu_memory_utilization": 0.5}).verdict == "too large"


def test_too_large_weights_are_a_problem_that_says_what_to_do() -> None:
    document = Document.model_validate({"models": {"chat": {"source": "hf://acme/chat-70B", "hardware": "nvidia-l4"}}})
    (problem,) = plan(document, "aws", AWS, types={}, spot=[], sizes={}).problems
    assert problem.startswith("models.chat: about 130.4 GiB of weights do not fit: one GPU has 22.5 GiB")
    assert "more gpus" in problem


def test_a_known_size_goes_before_the_name() -> None:
    said = weights_of(5, source="hf://acme/chat-70B")
    assert (said.bytes, said.by_name) == (5 * GIB, False)


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("Qwen/Qwen3-8B", 16),
        ("Qwen/Qwen3-0.6B", 1.2),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", 60),
        ("mistralai/Mixtral-8x7B-v0.1", 112),
        ("meta-llama/Llama-3.3-70B-Instruct-FP8", 73.5),
        ("Qwen/Qwen3-32B-AWQ", 19.2),
        ("HuggingFaceTB/SmolLM2-135M", 0.27),
        ("models/qwen3-8b", 16),
    ],
)
def test_a_name_tells_about_how_large_weights_are(name: str, billions: float) -> None:
    assert size_by_name(name) == pytest.approx(billions * 1e9)


@pytest.mark.parametrize("name", ["BAAI/bge-m3", "acme/chat", "acme/v2.5-base", "7B/chat", "acme/0B", ""])
def test_a_name_without_a_size_tells_none(name: str) -> None:
    assert size_by_name(name) is None
