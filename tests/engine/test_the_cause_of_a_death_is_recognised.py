"""The end of an engine's log → a cause and a remedy."""

from __future__ import annotations

import pytest

from penstock.engine.diagnosis import MEMORY_KILL, TAIL, diagnose, stuck
from penstock.engine.memory_kills import MemoryKill

CASES = {
    "missing-library": [
        "OSError: libnuma.so.1: cannot open shared object file: No such file or directory",
        "AttributeError: '_OpNamespace' '_C' object has no attribute 'init_cpu_memory_env'",
    ],
    "unknown-option": ["api_server.py: error: unrecognized arguments: --max-modle-len=5"],
    "wrong-option": ["api_server.py: error: argument --max-model-len: Value x cannot be converted"],
    "port-taken": ["OSError: [Errno 98] Address already in use"],
    "gpu-memory": [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "ValueError: Free memory on device is less than desired GPU memory utilization",
        "RuntimeError: CUDA error: out of memory",
        "torch.cuda.OutOfMemoryError: tried to allocate",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
    "kv-memory": [
        "ValueError: To serve one request, 1.0 GiB KV cache is needed, which is larger than the available 0.5 GiB",
    ],
    "memory": ["RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate"],
    "gpu-fault": [
        "RuntimeError: CUDA error: an illegal memory access was encountered",
        "[rank0]: Watchdog caught collective operation timeout: WorkNCCL(SeqNum=9, OpType=ALLREDUCE)",
    ],
    "worker-died": ["ERROR [multiproc_executor.py:316] Worker proc VllmWorker-1 died unexpectedly (exit code: -9), x"],
    "no-gpu": ["RuntimeError: Failed to infer device type", "RuntimeError: No CUDA GPUs are available"],
    "missing-weights": ["RuntimeError: Cannot find any model weights with `/models/x`"],
    "unsupported-model": ["ValueError: Model architectures ['FooForCausalLM'] are not supported for now"],
    "context-too-long": ["User-specified max_model_len (99999) is greater than the derived max_model_len (2048)"],
    "missing-package": ["ModuleNotFoundError: No module named 'vllm'"],
    "invalid-configuration": ["pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig"],
}


@pytest.mark.parametrize(("rule", "line"), [(rule, line) for rule, lines in CASES.items() for line in lines])
def test_a_known_line_gives_its_cause_and_a_remedy(rule: str, line: str) -> None:
    found = diagnose(["INFO starting", line, "Traceback follows"], 1)
    assert found.rule == rule
    assert found.failure.cause
    assert found.failure.remedy
    assert line in found.failure.log_tail


def test_the_cause_names_what_was_found() -> None:
    assert "--max-modle-len=5" in diagnose(CASES["unknown-option"], 2).failure.cause
    assert "libnuma.so.1" in diagnose(CASES["missing-library"][:1], 1).failure.cause


@pytest.mark.parametrize(
    ("status", "words"),
    [(None, "no progress"), (0, "by itself"), (1, "status 1"), (137, "SIGKILL"), (139, "SIGSEGV"), (228, "signal 100")],
)
def test_an_unknown_death_is_told_by_its_exit_status(status: int | None, words: str) -> None:
    found = diagnose(["nothing known"], status)
    assert found.rule is None
    assert words in found.failure.cause
    assert found.failure.remedy


def test_a_failure_carries_a_bounded_end_of_the_log() -> None:
    log = [str(number) for number in range(1000)]
    assert diagnose(log, 1).failure.log_tail == log[-TAIL:]


@pytest.mark.parametrize(
    ("kill", "status", "recognised"),
    [
        (MemoryKill.HERE, 137, True),
        # Another process of the engine was killed, and the first one ended for want of it.
        (MemoryKill.HERE, 1, True),
        (MemoryKill.MACHINE, 137, True),
        (MemoryKill.MACHINE, 1, False),
        (MemoryKill.HERE, None, False),
        (MemoryKill.HERE, 0, False),
        (None, 137, False),
    ],
)
def test_a_kill_for_memory_is_told_from_other_deaths(
    kill: MemoryKill | None, status: int | None, recognised: bool
) -> None:
    found = diagnose(["nothing known"], status, memory_kill=kill)
    assert (found.rule == MEMORY_KILL) == recognised
    assert ("memory" in found.failure.cause) == (recognised or status == 137)


def test_a_kill_for_memory_is_the_cause_of_what_the_log_says_then() -> None:
    assert diagnose(CASES["worker-died"], 1).rule == "worker-died"
    assert diagnose(CASES["worker-died"], 1, memory_kill=MemoryKill.HERE).rule == MEMORY_KILL


def test_a_stuck_engine_tells_what_its_log_says() -> None:
    assert stuck(["nothing known"], "It hung.").cause == "It hung."
    assert "watchdog.stall" in (stuck(["nothing known"], "It hung.").remedy or "")
    told = stuck(CASES["gpu-fault"], "It hung.")
    assert told.cause.startswith("It hung. Its log says: The GPU or the way to it failed")
    assert "Xid" in (told.remedy or "")
