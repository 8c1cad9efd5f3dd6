"""The result as a picture. matplotlib is imported only here and only when one is drawn. Used by `penstock bench`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.bench import figures
from penstock.bench.result import Result
from penstock.bench.summary import Spread, Summary
from penstock.bench.table import roles
from penstock.errors import MachineError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#5b6770", "#1f77b4", "#2a9d5c", "#d9822b", "#8e5bb5", "#c23b4b")
"""The baseline in grey, then the others. Told apart in print and by most who see colours differently."""


def write_png(result: Result, path: Path) -> None:
    """Draws throughput, time to first token, time between tokens and CPU of the servers, and writes the file.

    Raises:
        MachineError: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    figure = _figure(result)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, facecolor="white")


def _figure(result: Result) -> Figure:
    try:
        # Figures made without pyplot have the Agg canvas and no window, whatever the machine's settings are.
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise MachineError(
            "Drawing the picture needs matplotlib, which is not installed.",
            remedy='Install it with: pip install "penstock[bench]"',
        ) from error
    figure = Figure(figsize=(11, 7.4), layout="constrained")
    axes = figure.subplots(2, 2)
    _throughput(axes[0][0], result)
    _spread(axes[0][1], result, "Time to first token, ms", lambda row: row.first_token)
    _spread(axes[1][0], result, "Time between tokens, ms", lambda row: row.gaps)
    _cpu(axes[1][1], result)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=11)
    figure.supxlabel(_caption(result), fontsize=8, color="#666666")
    return figure


def _caption(result: Result) -> str:
    machine, plan = result.machine, result.plan
    return (
        f"{machine['cpu']}, {machine['cores']} cores · {plan.rounds} interleaved rounds, streams of {plan.max_tokens}"
        f" tokens · {result.date:%Y-%m-%d}"
    )


def _prepare(axes: Axes, result: Result, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.set_xticks(range(len(result.plan.concurrencies)), [str(count) for count in result.plan.concurrencies])
    axes.set_xlabel("streams at once", fontsize=9)
    axes.grid(axis="y", color="#e6e6e6")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.16)


def _rows(result: Result, target: str) -> list[Summary]:
    by_concurrency = {row.concurrency: row for row in result.summaries if row.target == target}
    return [by_concurrency[concurrency] for concurrency in result.plan.concurrencies]


def _places(result: Result, index: int) -> tuple[list[float], float]:
    """Where the bars of a target stand, and their width."""
    width = 0.8 / len(result.targets)
    shift = (index - (len(result.targets) - 1) / 2) * width
    return [place + shift for place in range(len(result.plan.concurrencies))], width * 0.9


def _throughput(axes: Axes, result: Result) -> None:
    """Medians of the slots with their intervals."""
    _prepare(axes, result, "Output tokens/s (median, 95 % interval)")
    for index, target in enumerate(result.targets):
        places, width = _places(result, index)
        values = [row.tokens_per_second for row in _rows(result, target.name)]
        medians = [value.median for value in values]
        below = [value.median - value.interval.low for value in values]
        above = [value.interval.high - value.median for value in values]
        bars = axes.bar(
            places, medians, width, color=_color(index), label=target.name,
            yerr=[below, above], error_kw={"ecolor": "#333333", "elinewidth": 1, "capsize": 2},
        )  # fmt: skip
        axes.bar_label(bars, [figures.number(value) for value in medians], fontsize=8, padding=2)


def _spread(axes: Axes, result: Result, title: str, spread_of: Callable[[Summary], Spread]) -> None:
    """A bar to the median, a thin line on to the 95th and a mark at the 99th percentile."""
    _prepare(axes, result, f"{title} (bar p50, line p95, mark p99)")
    for index, target in enumerate(result.targets):
        places, width = _places(result, index)
        spreads = [spread_of(row) for row in _rows(result, target.name)]
        medians = [1000 * spread.p50 for spread in spreads]
        axes.bar(places, medians, width, color=_color(index))
        axes.vlines(places, medians, [1000 * spread.p95 for spread in spreads], color=_color(index), linewidth=2)
        axes.scatter(places, [1000 * spread.p99 for spread in spreads], color=_color(index), marker="_", s=60)
        for place, value in zip(places, medians, strict=True):
            axes.annotate(
                figures.number(value), (place, value), (0, -3), textcoords="offset points", ha="center", va="top",
                fontsize=8, color="white",
            )  # fmt: skip


def _cpu(axes: Axes, result: Result) -> None:
    """CPU of the serving processes and of the client, piled up by role."""
    _prepare(axes, result, "CPU seconds per 1,000 tokens, by role")
    hatches = dict(zip(roles(result), ("", "//", "..", "xx", "--", "oo"), strict=False))
    for index, target in enumerate(result.targets):
        places, width = _places(result, index)
        floor = [0.0] * len(places)
        for role, hatch in hatches.items():
            heights = [row.cpu_per_thousand_tokens(role) if row.tokens else 0.0 for row in _rows(result, target.name)]
            axes.bar(places, heights, width, floor, color=_color(index), hatch=hatch, edgecolor="white", linewidth=0.5)
            floor = [low + height for low, height in zip(floor, heights, strict=True)]
    keys = [
        axes.bar(0, 0, color="#bbbbbb", hatch=hatch, edgecolor="white", linewidth=0.5) for hatch in hatches.values()
    ]
    axes.legend(keys, list(hatches), frameon=False, fontsize=8, loc="upper right")


def _color(index: int) -> str:
    return COLORS[index % len(COLORS)]
