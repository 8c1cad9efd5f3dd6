"""What the engines of a running Penstock work on, asked of themselves. Used by tests of faults."""

from __future__ import annotations

from typing import Any

import httpx
import psutil


def engine_url(replica: dict[str, Any]) -> str:
    """Where the engine of a replica listens.

    Args:
        replica: as `penstock status --json` shows it.
    """
    ports = {
        connection.laddr.port
        for pid in replica["engine_pids"]
        for connection in psutil.Process(pid).net_connections("tcp")
        if connection.status == "LISTEN" and connection.laddr.ip == "127.0.0.1"
    }
    return next(f"http://127.0.0.1:{port}" for port in ports if _answers(f"http://127.0.0.1:{port}/health"))


def requests_running(url: str) -> int:
    """Requests that an engine works on."""
    lines = httpx.get(f"{url}/metrics", timeout=10).text.splitlines()
    gauges = [line for line in lines if line.startswith("vllm:num_requests_running{")]
    return int(sum(float(line.rpartition(" ")[2]) for line in gauges))


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
