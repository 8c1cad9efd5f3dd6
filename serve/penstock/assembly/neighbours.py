"""How a gateway sees its providers, read from its metrics. For `penstock status`; the board knows replicas alone."""

from __future__ import annotations

import re
import urllib.request
from typing import Final

from penstock.assembly.status import ProviderState, ProviderStatus

_LIMIT: Final = 2.0
_LARGEST: Final = 2**22
_BREAKER: Final = re.compile(r'^penstock_provider_breaker_open\{provider="([a-z0-9-]+)"\} ([0-9.]+)$', re.MULTILINE)
_STATES: Final[dict[float, ProviderState]] = {0.0: "asked", 0.5: "tried", 1.0: "left alone"}


def providers_of(metrics: str) -> list[ProviderStatus]:
    """The providers in a gateway's metrics, by name."""
    return [
        ProviderStatus(name=name, state=_STATES.get(float(value), "tried"))
        for name, value in sorted(_BREAKER.findall(metrics))
    ]


def ask(url: str) -> list[ProviderStatus]:
    """The providers as one gateway at an address sees them; none where it does not say."""
    if not url.startswith(("http://", "https://")):
        return []
    # A proxy of the environment has no business with an address of this machine.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{url}/metrics", timeout=_LIMIT) as answer:
            return providers_of(answer.read(_LARGEST).decode("utf-8", errors="replace"))
    except (OSError, ValueError):
        return []
