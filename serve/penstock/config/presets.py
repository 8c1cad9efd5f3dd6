"""Hardware profiles that are there without being named. A profile of the same name in the document replaces one whole.

The chart reads them from `files/hardware.yaml`, which is written from here. Node labels are those of NVIDIA's GPU
feature discovery, which its GPU operator installs; amounts of processors and memory fit the smallest common cloud
machine with one such GPU.
"""

from __future__ import annotations

from penstock.config.hardware import Hardware

CPU = "cpu"


def _nvidia(product: str, *, cpu: int, memory: str) -> Hardware:
    return Hardware(
        resources={"nvidia.com/gpu": 1, "cpu": cpu, "memory": memory},
        node_selector={"nvidia.com/gpu.product": product},
        tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    )


PRESETS = {
    CPU: Hardware(),
    "nvidia-t4": _nvidia("Tesla-T4", cpu=3, memory="12Gi"),
    "nvidia-l4": _nvidia("NVIDIA-L4", cpu=3, memory="12Gi"),
    "nvidia-a10g": _nvidia("NVIDIA-A10G", cpu=3, memory="12Gi"),
    "nvidia-l40s": _nvidia("NVIDIA-L40S", cpu=3, memory="24Gi"),
    "nvidia-a100-40gb": _nvidia("NVIDIA-A100-SXM4-40GB", cpu=10, memory="72Gi"),
    "nvidia-a100-80gb": _nvidia("NVIDIA-A100-SXM4-80GB", cpu=10, memory="140Gi"),
    "nvidia-h100": _nvidia("NVIDIA-H100-80GB-HBM3", cpu=20, memory="200Gi"),
    "nvidia-h200": _nvidia("NVIDIA-H200", cpu=20, memory="220Gi"),
}
