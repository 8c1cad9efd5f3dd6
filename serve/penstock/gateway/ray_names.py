"""Names by which Ray knows hardware on a cluster, as `assembly` and the chart make them. Pure.

Used by `shortage` and `ray_shortages`.
"""

from __future__ import annotations

HARDWARE = "penstock-hardware-"
"""How custom resources of hardware profiles begin."""
_LONGEST = 50


def hardware_of(resource: str) -> str:
    """`penstock-hardware-nvidia-l4-x2` → `nvidia-l4-x2`."""
    return resource.removeprefix(HARDWARE)


def worker_group(resource: str) -> str:
    """The worker group whose nodes offer a resource, as the chart names it: lower case, without dots."""
    plain = hardware_of(resource).lower().replace(".", "-").replace("_", "-")
    return f"hw-{plain[:_LONGEST].removesuffix('-')}"
