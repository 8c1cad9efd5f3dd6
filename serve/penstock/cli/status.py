"""`penstock status`: what is running, how far it is, and why something is not."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live

from penstock.assembly import neighbours
from penstock.assembly.cluster import Cluster
from penstock.assembly.status import Status
from penstock.cli import picture, session, waiting
from penstock.cli.exits import FAILED
from penstock.cli.why import why


def status(
    address: Annotated[
        str | None, typer.Option(help="Ray's address, where it is not the Penstock of this machine.", metavar="ADDRESS")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Where its gateway listens, with --address.", metavar="URL")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Keep showing it until Ctrl-C.")] = False,
    explain: Annotated[
        bool, typer.Option("--why", help="Say why each model has as many replicas as it has. JSON says it always.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the models, their replicas and phases, and the address. Ends with 1 unless everything is ready.

    Example: penstock status --watch
    """
    here = session.find() if address is None else None
    cluster = Cluster.connect(address or session.find().ray_address)
    where = url or (here.url if here is not None else "http://127.0.0.1:8000")
    console = Console(highlight=False)
    try:
        if watch:
            _watch(cluster, where, console, explain=explain)
            return
        found = _whole(cluster, where)
    finally:
        cluster.close()
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        console.print(_shown(found, explain=explain))
    if not found.ready:
        raise typer.Exit(FAILED)


def _whole(cluster: Cluster, url: str) -> Status:
    return cluster.status(url).model_copy(update={"providers": neighbours.ask(url)})


def _shown(status: Status, *, explain: bool) -> RenderableType:
    now = time.time()
    tables = picture.overview(status, now=now)
    return Group(tables, why(status, now=now)) if explain else tables


def _watch(cluster: Cluster, url: str, console: Console, *, explain: bool) -> None:
    stop = waiting.Stop()
    with stop.on_signals(), Live(console=console, refresh_per_second=4) as live:
        while True:
            live.update(_shown(_whole(cluster, url), explain=explain))
            if stop.wait(waiting.LOOK):
                return
