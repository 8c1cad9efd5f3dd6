"""A plan for a terminal. Pure; used by `plan`."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from penstock.config.units import format_bytes
from penstock.planning.plan import NodesSaid, Plan, WeightsSaid

_STYLE = {"fits": "green", "tight": "yellow", "too large": "bold red", "unknown": "dim"}


def parts_of(plan: Plan) -> Iterator[RenderableType]:
    """Tables of nodes and of weights, the cost, and what could not run."""
    yield _nodes(plan)
    yield ""
    if plan.weights:
        yield _weights(plan)
        yield ""
    yield f"GPUs: {_span(plan.gpus_least, plan.gpus_most)}"
    cost = plan.cost
    yield (
        f"{cost.currency} an hour: {cost.idle:.2f} idle, {cost.least:.2f} at least, {cost.most:.2f} at most"
        f" (list prices of {plan.prices} in {plan.region}; without traffic, disks and databases)"
    )
    for problem in plan.problems:
        yield Text("problem: ", style="bold red") + Text(problem)


def _nodes(plan: Plan) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("nodes for", "machine", "gpus", "at least", "at most", "each an hour"):
        table.add_column(name, justify="left" if name in ("nodes for", "machine") else "right", overflow="fold")
    for nodes in plan.nodes:
        table.add_row(
            nodes.profile or "no GPU",
            nodes.machine,
            str(nodes.gpus or ""),
            str(nodes.least),
            _most(nodes),
            f"{nodes.price:.2f}{' spot' if nodes.spot else ''}",
        )
    return table


def _most(nodes: NodesSaid) -> str:
    return f"{nodes.most} ({nodes.rolling} for rollouts)" if nodes.rolling else str(nodes.most)


def _weights(plan: Plan) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("model", "weights", "gpu memory", "of it for vLLM", ""):
        table.add_column(name, justify="right" if name else "left", overflow="fold")
    table.columns[0].justify = "left"
    for said in plan.weights:
        table.add_row(
            said.model,
            _size(said),
            format_bytes(said.memory),
            format_bytes(said.usable),
            Text(said.verdict, style=_STYLE[said.verdict]),
        )
    return table


def _size(said: WeightsSaid) -> str:
    if said.bytes is None:
        return "?"
    return f"about {format_bytes(said.bytes)}" if said.by_name else format_bytes(said.bytes)


def _span(least: int, most: int) -> str:
    return f"{least}" if least == most else f"{least} at least, {most} at most"
