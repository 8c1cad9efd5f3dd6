"""`penstock apply`: give a running Penstock another document."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from penstock.assembly.cluster import Cluster
from penstock.assembly.serve_config import Placement, serve_config
from penstock.cli import inputs, picture, session, waiting
from penstock.cli.inputs import Files, Sets
from penstock.cli.up import address as address_of
from penstock.errors import EngineError


def apply(
    files: Files = None,
    sets: Sets = None,
    address: Annotated[
        str | None, typer.Option(help="Ray's address, where it is not the Penstock of this machine.", metavar="ADDRESS")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until everything is ready.")] = True,
    limit: Annotated[float, typer.Option(help="Seconds to wait at most.", metavar="SECONDS")] = 3600.0,
) -> None:
    """Make a running Penstock serve another document.

    Models that are new start, changed ones restart, removed ones finish their requests and go; the others are not
    touched.

    Example: penstock apply -f penstock.yaml --set models.demo.replicas=2
    """
    wanted = inputs.document(files, sets)
    here = session.find() if address is None else None
    config = serve_config(wanted, Placement.CLUSTER if here is None else Placement.LOCAL)
    url = address_of(wanted)
    console = Console(highlight=False)
    stop = waiting.Stop()
    cluster = Cluster.connect(address or session.find().ray_address)
    try:
        with stop.on_signals():
            cluster.apply(config)
            if here is not None:
                session.write(here.model_copy(update={"url": url}))
            if not wait:
                return
            status = waiting.until_settled(lambda: cluster.status(url), stop, console, picture.Events(), limit=limit)
    finally:
        cluster.close()
    if status is not None and status.failed:
        raise EngineError(f"Not everything can be served.\n{waiting.failures(status)}")
    if status is not None:
        console.print(
            f"{picture.stamp()} serving at {url}/v1: {', '.join(m.name for m in status.models) or 'no models'}"
        )
