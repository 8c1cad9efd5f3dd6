"""The result on a terminal. Used by `penstock bench`."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from penstock.bench import figures
from penstock.bench.result import Result


def render_table(result: Result) -> RenderableType:
    """Two tables: each target by itself, and, with several targets, the pairs against the first."""
    parts: list[RenderableType] = [_summaries(result)]
    if result.comparisons:
        parts += [Text(), _comparisons(result)]
    return Group(*parts)


def roles(result: Result) -> list[str]:
    """Every role of whose CPU something is known, in the order of the targets; the client last."""
    named = dict.fromkeys(role for target in result.targets for role in target.pids)
    return [*named, "client"]


def _summaries(result: Result) -> Table:
    table = Table(title="Measured", title_justify="left")
    table.add_column("streams", justify="right")
    table.add_column("target")
    table.add_column("tokens/s", justify="right")
    for name in ("first token, ms", "between tokens, ms"):
        table.add_column(f"{name}\np50 / p95 / p99", justify="right")
    table.add_column("requests", justify="right")
    table.add_column("errors", justify="right")
    for role in roles(result):
        table.add_column(f"{role}\nCPU s/1k tok", justify="right")
    for concurrency in result.plan.concurrencies:
        for row in (row for row in result.summaries if row.concurrency == concurrency):
            table.add_row(
                str(concurrency),
                row.target,
                figures.number(row.tokens_per_second.median),
                *(
                    " / ".join(figures.milliseconds(value) for value in (spread.p50, spread.p95, spread.p99))
                    for spread in (row.first_token, row.gaps)
                ),
                str(row.requests),
                Text(figures.error_counts(row.errors), style="red" if row.errors else ""),
                *(
                    figures.number(row.cpu_per_thousand_tokens(role)) if role in row.cpu else figures.NOTHING
                    for role in roles(result)
                ),
            )
        table.add_section()
    return table


def _comparisons(result: Result) -> Table:
    table = Table(title=f"Against {result.targets[0].name}, medians of pairs with 95 % intervals", title_justify="left")
    table.add_column("streams", justify="right")
    table.add_column("target")
    table.add_column("tokens/s, share", justify="right")
    table.add_column("first token, ms", justify="right")
    table.add_column("between tokens, ms", justify="right")
    table.add_column("pairs", justify="right")
    for concurrency in result.plan.concurrencies:
        for row in (row for row in result.comparisons if row.concurrency == concurrency):
            table.add_row(
                str(concurrency),
                row.target,
                figures.share(row.throughput),
                figures.added(row.first_token),
                figures.added(row.gap),
                str(row.throughput.size),
            )
        table.add_section()
    return table
