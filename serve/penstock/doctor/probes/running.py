"""Whether the addresses of a running Penstock answer."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from penstock.doctor.probes.machine import port

_LIMIT = 5.0


def answers(url: str) -> bool:
    """Whether somebody speaks HTTP there, whatever is said."""
    if not url.startswith(("http://", "https://")):
        return False
    # A proxy of the environment has no business with an address of this machine.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{url}/healthz", timeout=_LIMIT):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except (OSError, ValueError):
        return False


def listens(address: str) -> bool:
    """Whether somebody takes connections at `host:port`. Ray itself tries for minutes where nobody does."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_LIMIT):
            return True
    except (OSError, ValueError, OverflowError):
        return False


def listener(url: str) -> str | None:
    """Who listens at an address of this machine: `python, process 7`, or `somebody` where that may not be known. Empty
    where nobody does; None for what is no address."""
    try:
        parts = urlsplit(url)
        host, number = parts.hostname, parts.port
    except ValueError:
        return None
    if host is None or number is None:
        return None
    if not listens(f"{host}:{number}"):
        return ""
    seen = port(host, number)
    return f"{seen.holder}, process {seen.holder_pid}," if seen.holder_pid is not None else "somebody"
