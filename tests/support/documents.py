"""Documents for tests: the smallest ones, and files of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from penstock.config import Document
from penstock.config.loading import load
from penstock.errors import DocumentError

SIMULATED = {"models": {"demo": {"engine": "simulator"}}}
"""One model that needs nothing."""

WHOLE = """\
models:
  qwen3-8b:
    source: hf://Qwen/Qwen3-8B
    hardware: nvidia-l4
    gpus: 1
    replicas: {min: 0, max: 4, target: 16}
    engine: vllm
    options: {max_model_len: 8192}
    aliases: [default]
hardware:
  nvidia-l4:
    resources: {nvidia.com/gpu: 1, memory: 24Gi, cpu: 3.5}
    nodeSelector: {cloud.google.com/gke-accelerator: nvidia-l4}
    tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]
gateway: {port: 8000, maxBodyBytes: 32Mi, hold: {seconds: 600, requests: 256}}
"""
"""One that uses most of what there is."""


def write(folder: Path, text: str, name: str = "penstock.yaml") -> Path:
    """A file with this text, dedented."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")
    return path


def loaded(folder: Path, text: str, sets: Sequence[str] = ()) -> Document:
    """The document of one file with this text."""
    return load([write(folder, text)], sets)


def refusal(folder: Path, text: str, sets: Sequence[str] = ()) -> str:
    """What a person reads who loads this text. The folder is cut from it."""
    with pytest.raises(DocumentError) as caught:
        loaded(folder, text, sets)
    return str(caught.value).replace(f"{folder}/", "")
