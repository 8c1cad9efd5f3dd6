"""Whether the engines on the CPU fit into the machine's memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock.config.units import format_bytes
from penstock.doctor.checks.needs import BASE, Sized, sized
from penstock.doctor.facts import Facts, Memory
from penstock.doctor.findings import Finding, ok, problem, skipped, warning

_LITTLE = 4 * 2**30


def memory(facts: Facts) -> Iterator[Finding]:
    """The engines that start with the document, and all that it may come to."""
    total = usable(facts.memory)
    if total is None:
        yield skipped("memory", "The size of the memory could not be read.")
        return
    # What a running Penstock has taken is not there a second time, nor is it needed a second time.
    free = total if facts.running else at_hand(facts.memory, total)
    whole = f"{format_bytes(total)}{_of_container(facts.memory)}"
    if not facts.running:
        whole += f", {format_bytes(free)} of it free"
    engines = [found for found in sized(facts.document, facts) if not found.gpus] if facts.document else []
    if not engines:
        if total < _LITTLE:
            yield warning("memory", f"{whole}. That is little for any engine.", "Use a machine with 8 GiB or more.")
        else:
            yield ok("memory", f"{whole}.")
        return
    yield from _by_share(engines, total, free, whole)
    yield from _by_sum(engines, total, free, whole)


def usable(seen: Memory) -> int | None:
    """The container's memory where it is less than the machine's."""
    known = [size for size in (seen.total, seen.limit) if size is not None]
    return min(known) if known else None


def at_hand(seen: Memory, total: int) -> int:
    """What of it is free."""
    free = [total]
    if seen.available is not None:
        free.append(seen.available)
    if seen.limit is not None and seen.limit_used is not None:
        free.append(seen.limit - seen.limit_used)
    return max(min(free), 0)


def _of_container(seen: Memory) -> str:
    limited = seen.limit is not None and (seen.total is None or seen.limit < seen.total)
    return " (the container's limit)" if limited else ""


def _by_share(engines: Sequence[Sized], total: int, free: int, whole: str) -> Iterator[Finding]:
    """vLLM on a CPU takes a share of the whole memory unless told otherwise, and ends where that much is not free."""
    for found in engines:
        if found.kv_cache is not None:
            continue
        wanted = int(found.utilization * total)
        alone = len(engines) == 1 and found.model.replicas.max == 1
        if wanted > free or not alone:
            why = "is not free" if wanted > free else "leaves nothing for the others"
            yield problem(
                f"memory of {found.name}",
                f"vLLM on a CPU takes {found.utilization:.0%} of the memory unless told otherwise:"
                f" {format_bytes(wanted)}, which {why}. The machine has {whole}.",
                "Give its KV cache a size of its own, in GiB:"
                f" --set-string models.{_escaped(found.name)}.env.VLLM_CPU_KVCACHE_SPACE=4",
            )


def _by_sum(engines: Sequence[Sized], total: int, free: int, whole: str) -> Iterator[Finding]:
    at_start = sum(_each(found) * max(found.model.replicas.min, 1) for found in engines)
    at_most = sum(_each(found) * found.model.replicas.max for found in engines)
    unknown = [found.name for found in engines if found.tensors is None]
    about = "at least " if unknown else "about "
    say = f"The engines need {about}{format_bytes(at_start)}; the machine has {whole}."
    if unknown:
        say += f" The weights of {', '.join(unknown)} are not counted: their size is not known."
    smaller = "Use smaller or quantised models, fewer replicas, or less VLLM_CPU_KVCACHE_SPACE under env."
    if at_start > total:
        yield problem("memory", say, smaller)
    elif at_start > free:
        yield warning("memory", say, f"Close other programs. {smaller}")
    elif at_most > total:
        yield warning(
            "memory", f"{say} With all replicas that the document allows it is {format_bytes(at_most)}.", smaller
        )
    else:
        yield ok("memory", say)


def _each(found: Sized) -> int:
    return BASE + (found.tensors or 0) + (found.kv_cache or 0)


def _escaped(name: str) -> str:
    """A key as `--set` takes it."""
    return name.replace(".", "\\.")
