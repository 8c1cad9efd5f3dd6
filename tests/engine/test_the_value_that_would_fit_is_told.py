"""Where an engine had too little memory, the option and the value with which it fits are told, from its own numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.amounts import remedy
from penstock.engine.diagnosis import diagnose

FREE = (
    "ValueError: Free memory on device cuda:0 (9.41/22.03 GiB) on startup is less than desired GPU memory utilization"
    " (0.92, 20.27 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes."
)
FREE_CPU = (
    "ValueError: Available memory on node 0 (5.2/23.4 GiB) on startup is less than desired CPU memory utilization"
    " (0.92, 21.53 GiB). On the CPU backend, the `--gpu-memory-utilization` flag controls the fraction of CPU memory"
)
LONGEST = (
    "ValueError: To serve at least one request with the model's max seq len (40960), (5.62 GiB KV cache is needed,"
    " which is larger than the available KV cache memory (3.77 GiB). Based on the available memory, the estimated"
    " maximum model length is 27472. Try increasing `gpu_memory_utilization` (which also controls CPU memory)"
)
ALLOCATION = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has a total capacity of 22.03 GiB of"
    " which 412.00 MiB is free. Including non-PyTorch memory, this process has 21.62 GiB memory in use."
)


@pytest.mark.parametrize(
    ("rule", "log", "words"),
    [
        ("gpu-memory", [FREE], ["gpu_memory_utilization of the model to 0.42", "9.41 of 22.03 GiB are free", "0.92"]),
        ("memory", [FREE_CPU], ["gpu_memory_utilization of the model to 0.22", "5.2 of 23.4 GiB"]),
        ("kv-memory", [LONGEST], ["max_model_len of the model to 27472", "1.9 GiB more by options.gpu_memory"]),
        (
            "kv-memory",
            ["WARNING VLLM_CPU_KVCACHE_SPACE is set to 2", LONGEST],
            ["max_model_len of the model to 27472", "1.9 GiB more by env.VLLM_CPU_KVCACHE_SPACE"],
        ),
        ("gpu-memory", [ALLOCATION], ["gpu_memory_utilization of the model to 0.86"]),
        ("gpu-memory", ["args: {'gpu_memory_utilization': 0.8, 'x': 1}", ALLOCATION], ["to 0.74"]),
    ],
)
def test_the_option_and_the_value_are_told_in_one_line(rule: str, log: list[str], words: list[str]) -> None:
    found = diagnose(["INFO starting", *log, "Traceback follows"], 1)
    assert found.rule == rule
    assert found.failure.remedy is not None
    assert "\n" not in found.failure.remedy
    for word in words:
        assert word in found.failure.remedy


def test_where_almost_nothing_is_free_no_value_helps() -> None:
    told = remedy([FREE.replace("9.41", "0.50")])
    assert told is not None
    assert told.startswith("Stop what else uses the GPU: only 0.5 of 22.03 GiB are free")
    assert "smaller or quantised" in (remedy([ALLOCATION.replace("1.50 GiB", "40.00 GiB")]) or "")


@pytest.mark.parametrize(
    "line",
    [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "RuntimeError: CUDA error: out of memory",
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`",
    ],
)
def test_without_numbers_the_options_are_told(line: str) -> None:
    assert remedy([line]) is None
    assert "gpu_memory_utilization" in (diagnose([line], 1).failure.remedy or "")


def test_the_estimate_alone_is_enough() -> None:
    told = remedy(["the estimated maximum model length is 512."])
    assert told == "Set options.max_model_len of the model to 512 or less, or raise gpu_memory_utilization."


@given(st.lists(st.sampled_from([FREE, FREE_CPU, LONGEST, ALLOCATION, "x"]), max_size=4), st.text(max_size=30))
def test_no_log_confuses_it(lines: list[str], odd: str) -> None:
    for cut in range(0, 300, 37):
        remedy([odd, *(line[:cut] + odd + line[cut:] for line in lines)])
