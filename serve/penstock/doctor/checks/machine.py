"""Processors, disk, shared memory, open files, the port and the clock."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.config.units import format_bytes
from penstock.doctor.checks.needs import uses_cpu_engine
from penstock.doctor.facts import Facts
from penstock.doctor.findings import Finding, ok, problem, skipped, warning

LEAST_SHARED_MEMORY = 2**30
"""Below it Ray puts its objects on disk, and GPUs that work together have too little to exchange. Docker gives
64 MiB."""
FILES_PER_CONNECTION = 2
"""One to the client, one to the engine."""
FILES_BESIDE = 512
LARGEST_SKEW = 300.0
"""Seconds; S3 refuses signed requests that are off by 15 minutes, tokens and certificates by less."""


def processors(facts: Facts) -> Iterator[Finding]:
    """Ray, the gateway and an engine on the CPU want a core each."""
    if facts.cores is None:
        yield skipped("processors", "The number of cores could not be read.")
        return
    said = f"{facts.cores:g} core{'' if facts.cores == 1 else 's'} may be used."
    if facts.cores < 2 and uses_cpu_engine(facts):
        yield warning("processors", f"{said} An engine on the CPU will be slow.", "Use a machine with 2 cores or more.")
    else:
        yield ok("processors", said)


def cache(facts: Facts) -> Iterator[Finding]:
    """Whether what must be downloaded fits on the disk, and into the cache's limit."""
    if facts.cache is None:
        return
    disk = facts.cache
    wanted = {found.source: found.download for found in facts.weights if not found.cached and not found.error}
    needed = sum(wanted.values())
    say = f"{disk.path} has {format_bytes(disk.free)} free"
    limit = facts.document.weights.limit if facts.document else None
    largest = max((found.download for found in facts.weights if not found.error), default=0)
    if not disk.writable:
        yield problem(
            "cache",
            f"The cache of weights {disk.path} cannot be written by this user.",
            "Make it writable, or name another: --set weights.cache=/path",
        )
    elif needed > disk.free:
        yield problem(
            "cache",
            f"{say}, and {format_bytes(needed)} must be downloaded.",
            "Free space there, or name a larger disk: --set weights.cache=/path",
        )
    elif limit is not None and largest > limit:
        yield problem(
            "cache",
            f"weights.limit is {format_bytes(limit)}, and one model alone has {format_bytes(largest)}.",
            "Raise weights.limit.",
        )
    else:
        yield ok("cache", f"{say}; {format_bytes(needed)} to download." if needed else f"{say}.")


def shared_memory(facts: Facts) -> Iterator[Finding]:
    """Ray's objects and vLLM's messages between its processes are there."""
    shared = facts.shared_memory
    if shared is None:
        yield skipped("shared memory", "There is no /dev/shm here.")
    elif shared.free < LEAST_SHARED_MEMORY:
        yield warning(
            "shared memory",
            f"{shared.path} has {format_bytes(shared.free)} free of {format_bytes(shared.total)}; Ray and vLLM want"
            f" {format_bytes(LEAST_SHARED_MEMORY)} or more.",
            "In a container: docker run --shm-size=4g; in a pod: an emptyDir with medium: Memory at /dev/shm.",
        )
    else:
        yield ok("shared memory", f"{shared.path} has {format_bytes(shared.free)} free.")


def open_files(facts: Facts) -> Iterator[Finding]:
    """Every connection of the gateway is an open file, and one to the engine."""
    if facts.open_files is None or facts.document is None:
        return
    connections = facts.document.gateway.max_connections
    needed = connections * FILES_PER_CONNECTION + FILES_BESIDE
    soft, hard = facts.open_files.soft, facts.open_files.hard
    if soft is None or soft >= needed:
        yield ok("open files", f"{'Any number' if soft is None else soft} may be open.")
        return
    raised = f"ulimit -n {needed}"
    if hard is not None and hard < needed:
        raised = f"As root: raise the hard limit (LimitNOFILE= in systemd, /etc/security/limits.conf), then {raised}"
    yield warning(
        "open files",
        f"{soft} may be open, and {connections} connections (gateway.maxConnections) may need {needed}.",
        f"{raised}, or lower gateway.maxConnections.",
    )


def port(facts: Facts) -> Iterator[Finding]:
    """Whether the gateway can listen."""
    seen = facts.port
    if seen is None:
        return
    where = f"{seen.host}:{seen.port}"
    if not seen.error:
        yield ok("port", f"{where} is free.")
    elif seen.taken and facts.running is not None and facts.running.url.endswith(f":{seen.port}"):
        yield ok("port", f"{where} is held by the running Penstock.")
    else:
        by = f" by {seen.holder or 'process'} (process {seen.holder_pid})" if seen.holder_pid else ""
        say = f"{where} is taken{by}." if seen.taken else f"The gateway cannot listen on {where}: {seen.error}."
        other = seen.port + 1 if 0 < seen.port < 65535 else 8000
        yield problem("port", say, f"Free it, or choose another: --set gateway.port={other}")


def clock(facts: Facts) -> Iterator[Finding]:
    """Whether other machines agree on the time."""
    skews = [host.skew for host in facts.hosts if host.skew is not None]
    worst = max(skews, key=abs, default=None)
    if facts.installed_at is not None and facts.clock < facts.installed_at:
        yield warning(
            "clock", "The clock is before the time at which Penstock was installed.", "timedatectl set-ntp true"
        )
    elif worst is not None and abs(worst) > LARGEST_SKEW:
        way = "ahead of" if worst > 0 else "behind"
        yield problem(
            "clock",
            f"The clock is {abs(worst):.0f} seconds {way} that of a source of weights; certificates and signed"
            " requests fail.",
            "timedatectl set-ntp true",
        )
    else:
        yield ok("clock", "It agrees with the sources'." if worst is not None else "Nothing speaks against it.")
