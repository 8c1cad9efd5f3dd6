"""Usage as a picture: tokens over time where days or hours are told apart, else by what is. matplotlib is imported only
here and only when one is drawn. Used by `usage`.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from penstock.accounts.ledger.report import UsageReport
from penstock.cli.usage_tables import told_of
from penstock.errors import MachineError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PARTS = 7
OTHERS = "others"
COLORS = ("#1f77b4", "#2a9d5c", "#d9822b", "#8e5bb5", "#c23b4b", "#17889b", "#8c6d31", "#5b6770")


class Bars(NamedTuple):
    """What is drawn: a bar for each place, made of parts."""

    places: list[str]
    parts: dict[str, list[int]]
    """Tokens by part, for each place."""


def bars_of(report: UsageReport) -> Bars:
    """Bars by time, or by the first thing that is told apart; their parts by the rest. Small parts are put together."""
    time = next((name for name in report.by if name in ("day", "hour")), None)
    first = time or (report.by[0] if report.by else None)
    tokens: dict[tuple[str, str], int] = defaultdict(int)
    sizes: dict[str, int] = defaultdict(int)
    for row in report.rows:
        place = told_of(row, first) if first is not None else "all"
        part = " · ".join(told_of(row, name) for name in report.by if name != first) or "tokens"
        used = row.prompt_tokens + row.completion_tokens
        tokens[place, part] += used
        sizes[part] += used
    shown = sorted(sizes, key=lambda part: -sizes[part])[:MOST_PARTS]
    places = list(dict.fromkeys(place for place, _ in tokens))
    parts = {part: [tokens.get((place, part), 0) for place in places] for part in shown}
    if rest := [part for part in sizes if part not in shown]:
        parts[OTHERS] = [sum(tokens.get((place, part), 0) for part in rest) for place in places]
    return Bars(places, parts)


def write_png(report: UsageReport, path: Path) -> None:
    """Raises MachineError where matplotlib is not installed or the file cannot be written."""
    figure = _figure(bars_of(report), report)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, facecolor="white", format="png")
    except OSError as error:
        raise MachineError(f"The picture cannot be written to {path}: {error.strerror or error}.") from None


def _figure(bars: Bars, report: UsageReport) -> Figure:
    try:
        # As in the pictures of benchmarks: figures without pyplot need no window.
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise MachineError(
            "Drawing the picture needs matplotlib, which is not installed.",
            remedy='Install it with: pip install "penstock[bench]"',
        ) from error
    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.subplots()
    below = [0] * len(bars.places)
    for number, (part, tokens) in enumerate(bars.parts.items()):
        axes.bar(range(len(bars.places)), tokens, 0.8, bottom=below, label=part, color=COLORS[number])
        below = [low + high for low, high in zip(below, tokens, strict=True)]
    step = max(1, len(bars.places) // 15)
    ticks = range(0, len(bars.places), step)
    axes.set_xticks(ticks, [bars.places[tick] for tick in ticks], rotation=30, ha="right", fontsize=8)
    axes.set_title(
        f"Tokens · {report.total.requests:,} requests since {report.since:%Y-%m-%d}",
        loc="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(axis="y", color="#e6e6e6")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if len(bars.parts) > 1:
        axes.legend(frameon=False, fontsize=9)
    return figure
