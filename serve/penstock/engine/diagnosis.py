"""Why an engine died, read from the end of its log and its exit status. Pure; called by the replica.

Each rule is a pattern of what vLLM 0.32, PyTorch or the system print, the sentence for people, and what to do.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from typing import NamedTuple

from penstock.board import Failure
from penstock.engine import amounts
from penstock.engine.memory_kills import MemoryKill

TAIL = 40
"""Lines of log that a failure carries."""


class _Rule(NamedTuple):
    name: str
    pattern: re.Pattern[str]
    cause: str
    remedy: str


def _rule(name: str, pattern: str, cause: str, remedy: str) -> _Rule:
    return _Rule(name, re.compile(pattern, re.IGNORECASE), cause, remedy)


PORT_TAKEN = "port-taken"
MEMORY_KILL = "memory-kill"
_OF_MEMORY = frozenset({"gpu-memory", "kv-memory", "memory"})
"""Rules whose remedy is a value of an option, where the log has the numbers."""
_KILLED = 128 + signal.SIGKILL
_STUCK_REMEDY = (
    "See the end of its log. If it would have got on, raise watchdog.stall of the model; if one kind of request does it"
    " again, keep it away."
)
_RULES = (
    _rule(
        "missing-library",
        r"(?P<what>lib[\w.+-]+\.so[\w.]*): cannot open shared object file",
        "The system library {what} is missing.",
        "Install the package that holds it; for libnuma.so.1: apt-get install libnuma1.",
    ),
    _rule(
        "missing-library",
        r"'_OpNamespace' '_C' object has no attribute 'init_cpu_memory_env'",
        "vLLM's CPU kernels could not be loaded; the system library libnuma is missing.",
        "apt-get install libnuma1",
    ),
    _rule(
        "unknown-option",
        r"error: unrecognized arguments: (?P<what>.+)",
        "The engine does not know the option {what}.",
        "Correct or remove it under the model's options; the names are those of `vllm serve --help`.",
    ),
    _rule(
        "wrong-option",
        r"error: argument (?P<what>.+)",
        "The engine refuses an option: {what}.",
        "Correct it under the model's options.",
    ),
    _rule(
        PORT_TAKEN,
        r"(address already in use|errno 98)",
        "Another process took the engine's port.",
        "Nothing: the replica tries another port.",
    ),
    _rule(
        "gpu-memory",
        r"((CUDA|HIP|XPU) (error: )?out of memory|torch\.(cuda\.)?OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED"
        r"|less than desired GPU memory utilization)",
        "The GPU has too little memory.",
        "Lower gpu_memory_utilization or max_model_len, use a smaller or quantised model, or give it more gpus.",
    ),
    _rule(
        "kv-memory",
        r"(No available memory for the cache blocks|KV cache is needed, which is larger than the available"
        r"|larger than the maximum number of tokens that can be stored in KV cache)",
        "After the weights there is too little memory left for the KV cache at this context length.",
        "Lower max_model_len, or raise gpu_memory_utilization (on a CPU: VLLM_CPU_KVCACHE_SPACE under env).",
    ),
    _rule(
        "memory",
        r"(Cannot allocate memory|std::bad_alloc|DefaultCPUAllocator: can't allocate memory|MemoryError"
        r"|less than desired CPU memory utilization)",
        "The machine has too little memory.",
        "Free memory, use a smaller model, or lower VLLM_CPU_KVCACHE_SPACE under env.",
    ),
    _rule(
        "gpu-fault",
        r"(?P<what>an illegal memory access was encountered|device-side assert triggered|uncorrectable ECC error"
        r"|unspecified launch failure|GPU has fallen off the bus|NCCL error: [\w ]+"
        r"|Watchdog caught collective operation timeout)",
        "The GPU or the way to it failed: {what}.",
        "See dmesg for Xid lines and nvidia-smi -q for ECC errors; if one node does it again, take it out of service.",
    ),
    _rule(
        "no-gpu",
        r"(No CUDA GPUs are available|Found no NVIDIA driver|Failed to infer device type|CUDA driver version is"
        r" insufficient)",
        "The engine finds no GPU that it can use.",
        "Check the driver with nvidia-smi; on a machine without a GPU install penstock[cpu].",
    ),
    _rule(
        "missing-weights",
        r"(Cannot find any model weights|no such file or directory: '[^']*(safetensors|\.bin|config\.json)[^']*'"
        r"|does not appear to have a file named)",
        "The weights are not complete.",
        "Check that the source holds config.json and *.safetensors; remove it from the cache to fetch it anew.",
    ),
    _rule(
        "unsupported-model",
        r"(Model architectures? (?P<what>\[.*?\]|\S+) (are|is) not supported"
        r"|has no vLLM implementation|does not recognize this architecture)",
        "This version of vLLM does not know the model's architecture.",
        "Use another model, or a newer vLLM in the engine's environment.",
    ),
    _rule(
        "context-too-long",
        r"User-specified max_model_len \((?P<what>\d+)\) is greater than the derived max_model_len",
        "max_model_len {what} is more than the model can do.",
        "Lower max_model_len under the model's options.",
    ),
    _rule(
        "missing-package",
        r"ModuleNotFoundError: No module named '(?P<what>[^']+)'",
        "The Python package {what} is missing where the engine runs.",
        "Install the engine: penstock[cpu] or penstock[gpu].",
    ),
    _rule(
        "invalid-configuration",
        r"validation errors? for (?P<what>\w+)",
        "vLLM refuses the configuration ({what}); the log says which option.",
        "Correct the option under the model's options.",
    ),
    _rule(
        "worker-died",
        r"(?P<what>Worker proc \S+|Engine core proc \S+|EngineCore\S*) died unexpectedly",
        "A process of the engine died without a word: {what}.",
        "If nobody killed it, the system did, out of memory: see dmesg, and give the replica more memory.",
    ),
)
_MEMORY_KILLS = {
    MemoryKill.HERE: Failure(
        cause="The system killed the engine for its memory: the limit of its container was reached, or the machine had"
        " none left.",
        remedy="Give the replica more memory (hardware.<profile>.resources), or let the engine take less: a smaller"
        " model or max_model_len, on a CPU a lower VLLM_CPU_KVCACHE_SPACE under env.",
    ),
    MemoryKill.MACHINE: Failure(
        cause="The engine was ended by SIGKILL while the machine had no memory left.",
        remedy="Free memory on the machine, or let the engine take less: a smaller model or max_model_len, on a CPU a"
        " lower VLLM_CPU_KVCACHE_SPACE under env.",
    ),
}


class Diagnosis(NamedTuple):
    """`rule` names what was recognised; None for nothing."""

    rule: str | None
    failure: Failure


def diagnose(log: Sequence[str], exit_status: int | None, *, memory_kill: MemoryKill | None = None) -> Diagnosis:
    """The likely cause.

    Args:
        log: the end of the engine's log, oldest line first.
        exit_status: 128 + n for signal n; None for an engine that did not end.
        memory_kill: what the system's own counts say.
    """
    tail = list(log[-TAIL:])
    if exit_status and (memory_kill is MemoryKill.HERE or (memory_kill and exit_status == _KILLED)):
        return Diagnosis(MEMORY_KILL, _MEMORY_KILLS[memory_kill].model_copy(update={"log_tail": tail}))
    for rule in _RULES:
        for line in log:
            if match := rule.pattern.search(line):
                what = (match.groupdict().get("what") or "").strip()
                remedy = (amounts.remedy(log) if rule.name in _OF_MEMORY else None) or rule.remedy
                return Diagnosis(rule.name, Failure(cause=rule.cause.format(what=what), remedy=remedy, log_tail=tail))
    return Diagnosis(None, Failure(cause=_by_status(exit_status), remedy=_remedy(exit_status), log_tail=tail))


def stuck(log: Sequence[str], cause: str) -> Failure:
    """Of an engine that the watchdog ended: its cause, and what the log says of the reason."""
    found = diagnose(log, None)
    if found.rule is None:
        return Failure(cause=cause, remedy=_STUCK_REMEDY, log_tail=found.failure.log_tail)
    return found.failure.model_copy(update={"cause": f"{cause} Its log says: {found.failure.cause}"})


def _by_status(status: int | None) -> str:
    if status is None:
        return "The engine made no progress and was stopped."
    if status == 0:
        return "The engine ended by itself, without an error."
    if status > 128:
        number = status - 128
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        perhaps = ", perhaps because the system ran out of memory" if status == _KILLED else ""
        return f"The engine was ended by {name}{perhaps}."
    return f"The engine ended with status {status}."


def _remedy(status: int | None) -> str:
    if status == _KILLED:
        return "If nobody killed it, the system did, out of memory: see dmesg, and give the replica more memory."
    if status is None:
        return "See the end of its log; raise startup.stall if it only needs longer."
    return "See the end of its log."
