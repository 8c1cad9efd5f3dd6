"""`penstock up`: start Ray, the models and the gateway on this machine, stay in the foreground, stop them all."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Annotated

import psutil
import typer
from rich.console import Console

from penstock.assembly.cluster import Cluster
from penstock.assembly.serve_config import Placement, serve_config
from penstock.cli import inputs, picture, session, waiting
from penstock.cli.inputs import Files, ModelSource, Sets
from penstock.config import Document
from penstock.errors import EngineError, MachineError

_LEFTOVER = 10.0
"""Seconds that processes have to end once Ray is told to stop."""


def up(
    files: Files = None,
    sets: Sets = None,
    model: ModelSource = None,
    grace: Annotated[
        float, typer.Option(help="Seconds that running requests have to finish when it stops.", metavar="SECONDS")
    ] = 10.0,
) -> None:
    """Serve the document's models on this machine, in the foreground. Ctrl-C stops everything.

    Example: penstock up -f penstock.yaml

    Example: penstock up --model hf://Qwen/Qwen3-0.6B
    """
    serve_here(inputs.document(files, sets, model), grace=grace, console=Console(highlight=False))


def serve_here(document: Document, *, grace: float, console: Console) -> None:
    """Serve until a signal comes.

    Raises:
        DocumentError: an option of a model cannot be.
        MachineError: the port is taken, Penstock runs already, or Ray does not start.
        EngineError: no model can be served.
    """
    url = address(document)
    config = serve_config(document, Placement.LOCAL)
    _refuse_second(document)
    stop = waiting.Stop()
    with stop.on_signals():
        console.print(f"{picture.stamp()} starting Ray")
        cluster = Cluster.start()
        stop.listen()  # Ray has put a handler of its own in place, which prints a stack
        try:
            session.write(session.own(cluster.address, url))
            if not stop.asked:
                cluster.apply(config)
                _follow(cluster, document, url, stop, console)
        finally:
            _stop_all(cluster, grace, stop, console)


def address(document: Document) -> str:
    """Where clients of this machine find the gateway."""
    host = document.gateway.host
    if host in ("0.0.0.0", "::", ""):  # noqa: S104  # compared, not bound
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{document.gateway.port}"


def _follow(cluster: Cluster, document: Document, url: str, stop: waiting.Stop, console: Console) -> None:
    """Show what happens until a stop is asked for."""
    events = picture.Events()
    status = waiting.until_settled(lambda: cluster.status(url), stop, console, events)
    if status is None:
        return
    if "gateway" in status.failed or len(status.failed) == len(status.models) > 0:
        raise EngineError(f"Nothing can be served.\n{waiting.failures(status)}")
    if status.failed:
        console.print(waiting.failures(status), style="red", markup=False)
    first = next((name for name in document.models if name not in status.failed), None)
    told = picture.how_to_call(url, first, page=document.gateway.page)
    console.print(f"\n{told}\n", markup=False, soft_wrap=True)
    while not stop.wait(waiting.LOOK):
        waiting.print_events(console, events, cluster.status(url))


def _refuse_second(document: Document) -> None:
    if (running := session.running()) is not None:
        raise MachineError(
            f"Penstock is running already, as process {running.pid} at {running.url}.",
            remedy="penstock apply changes what it serves, penstock down stops it.",
        )
    host, port = document.gateway.host, document.gateway.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise MachineError(
                f"The gateway cannot listen on {host}:{port}: {error.strerror}{_taken_by(port)}.",
                remedy=f"Free the port, or choose another: --set gateway.port={port + 1 if port < 65535 else 8000}",
            ) from error


def _taken_by(port: int) -> str:
    with contextlib.suppress(psutil.Error):
        for found in psutil.net_connections("tcp"):
            if found.status == psutil.CONN_LISTEN and found.laddr and found.laddr.port == port and found.pid:
                return f" (process {found.pid}, {psutil.Process(found.pid).name()})"
    return ""


def _stop_all(cluster: Cluster, grace: float, stop: waiting.Stop, console: Console) -> None:
    """Drain, end Ray, and make sure that no process is left."""
    console.print(f"{picture.stamp()} stopping; Ctrl-C again cuts running requests")

    def drain() -> None:
        # Whatever Serve says now, Ray ends next.
        with contextlib.suppress(Exception):
            cluster.stop_serving()

    draining = threading.Thread(target=drain, name="drain", daemon=True)
    draining.start()
    limit = time.monotonic() + grace
    family: set[psutil.Process] = set()
    while draining.is_alive() and time.monotonic() < limit and not stop.twice:
        family |= _descendants()
        draining.join(0.2)
    family |= _descendants()
    cluster.close()
    session.remove()
    _end_leftovers(family)
    console.print(f"{picture.stamp()} stopped")


def _descendants() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def _end_leftovers(family: set[psutil.Process]) -> None:
    """psutil knows a process by pid and birth, so a reused pid is never ended."""
    _, left = psutil.wait_procs(family, timeout=_LEFTOVER)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=_LEFTOVER)
