"""The result as Markdown, for `docs/performance.md`."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.bench import figures
from penstock.bench.result import Result
from penstock.bench.table import roles


def to_markdown(result: Result) -> str:
    """Paragraphs and tables without a heading, ending with a newline: how, then pairs, then each target."""
    parts = [_how(result)]
    if result.comparisons:
        parts.append(_comparisons(result))
    parts.append(_summaries(result))
    return "\n\n".join(parts) + "\n"


def _how(result: Result) -> str:
    machine, plan = result.machine, result.plan
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"Measured on {result.date:%Y-%m-%d}: {machine['cpu']}, {machine['cores']} cores,"
        f" {machine['memory_bytes'] / 2**30:.0f} GiB, {machine['system']}; {versions}. Streams of"
        f" {plan.max_tokens} tokens, {plan.rounds} interleaved rounds after {plan.warm_up} to warm up, in"
        f" {result.seconds:.0f} s."
    )


def _comparisons(result: Result) -> str:
    rows = (
        (
            str(row.concurrency),
            row.target,
            figures.share(row.throughput),
            figures.added(row.first_token),
            figures.added(row.gap),
            str(row.throughput.size),
        )
        for concurrency in result.plan.concurrencies
        for row in result.comparisons
        if row.concurrency == concurrency
    )
    head = ("streams", "target", "tokens/s, share", "first token, ms", "between tokens, ms", "pairs")
    return (
        f"Against {result.targets[0].name}, medians of the pairs of each round with their 95 % intervals:\n\n"
        + _table(head, rows)
    )


def _summaries(result: Result) -> str:
    shown = roles(result)
    rows = (
        (
            str(row.concurrency),
            row.target,
            figures.number(row.tokens_per_second.median),
            *(
                " / ".join(figures.milliseconds(value) for value in (spread.p50, spread.p95, spread.p99))
                for spread in (row.first_token, row.gaps)
            ),
            str(row.requests),
            figures.error_counts(row.errors),
            *(
                figures.number(row.cpu_per_thousand_tokens(role)) if role in row.cpu else figures.NOTHING
                for role in shown
            ),
        )
        for concurrency in result.plan.concurrencies
        for row in result.summaries
        if row.concurrency == concurrency
    )
    head = (
        "streams",
        "target",
        "tokens/s",
        "first token p50 / p95 / p99, ms",
        "between tokens p50 / p95 / p99, ms",
        "requests",
        "errors",
        *(f"{role} CPU s per 1,000 tokens" for role in shown),
    )
    return _table(head, rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
