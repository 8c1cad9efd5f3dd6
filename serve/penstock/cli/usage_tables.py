"""Usage as a table for a terminal and as CSV. Pure; used by `usage`."""

from __future__ import annotations

import csv
import io

from rich.table import Table
from rich.text import Text

from penstock.accounts.ledger.report import Dimension, Sums, UsageReport, UsageRow
from penstock.config.accounts import format_moment

NUMBERS = tuple(Sums.model_fields)


def table_of(report: UsageReport) -> Table:
    """A line for each thing that is told apart, and one for all of them."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=bool(report.by) and len(report.rows) > 1)
    for number, name in enumerate(report.by):
        table.add_column(name, footer="" if number else "all", overflow="fold")
    for sum_ in NUMBERS:
        table.add_column(sum_.replace("_", " "), footer=f"{getattr(report.total, sum_):,}", justify="right")
    for row in report.rows:
        told = [Text(told_of(row, name)) for name in report.by]
        table.add_row(*told, *(f"{getattr(row, sum_):,}" for sum_ in NUMBERS))
    return table


def csv_of(report: UsageReport) -> str:
    """The same, with a head and without the line for all."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow([*report.by, *NUMBERS])
    for row in report.rows:
        writer.writerow([*(told_of(row, name) for name in report.by), *(getattr(row, name) for name in NUMBERS)])
    return sink.getvalue()


def told_of(row: UsageRow, name: Dimension) -> str:
    """What a row is about, in one word."""
    if name in ("day", "hour"):
        if row.start is None:
            return ""
        return format_moment(row.start) if name == "hour" else f"{row.start:%Y-%m-%d}"
    return getattr(row, name) or ""
