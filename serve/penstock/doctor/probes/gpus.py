"""The GPUs that NVIDIA's own tool shows. Neither CUDA nor torch is loaded: both take seconds and hold memory."""

from __future__ import annotations

import shutil
import subprocess

from penstock.doctor.facts import Gpu, Gpus

_FIELDS = "index,name,memory.total,memory.free,driver_version"
_LIMIT = 20.0
_MIB = 2**20


def gpus() -> Gpus:
    """All of this machine."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Gpus()
    try:
        done = subprocess.run(
            [tool, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Gpus(error=f"nvidia-smi said nothing for {_LIMIT:.0f} seconds")
    except (OSError, ValueError) as error:
        return Gpus(error=f"nvidia-smi cannot be run: {error}")
    if done.returncode != 0:
        said = (done.stdout.strip() or done.stderr.strip()).splitlines()
        return Gpus(error=said[0].rstrip(".") if said else f"nvidia-smi ended with status {done.returncode}")
    return parse(done.stdout)


def parse(text: str) -> Gpus:
    """What nvidia-smi printed, a line a GPU."""
    found = []
    for line in filter(str.strip, text.splitlines()):
        parts = [part.strip() for part in line.split(",")]
        try:
            # A name may hold commas; the numbers around it do not.
            index, name = int(parts[0]), ", ".join(parts[1:-3])
            total, free = int(parts[-3]) * _MIB, int(parts[-2]) * _MIB
        except (ValueError, IndexError):
            return Gpus(error=f"nvidia-smi said something that is no GPU: {line.strip()[:80]!r}")
        found.append(Gpu(index, name, total, free, parts[-1]))
    return Gpus(tuple(found))
