"""Which files of a repository an engine needs, and whether they make a model. Pure; used before any download."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from penstock.engine.weights.files import RemoteFile

# Copies of the same weights for other runtimes, and what people look at. Each kind may be larger than the model.
_FOREIGN_FOLDERS = {"original", "onnx", "openvino", "coreml", "flax", "tf", "metal", "gguf", "runs", "checkpoints"}
_FOREIGN_SUFFIXES = {
    ".onnx", ".onnx_data", ".h5", ".msgpack", ".tflite", ".ot", ".mlmodel", ".mlpackage", ".gguf", ".ggml", ".nemo",
    ".ckpt", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".mp4", ".wav", ".mp3", ".zip", ".tar", ".gz",
}  # fmt: skip
_TRAINING_STATE = re.compile(
    r"(optimizer|scheduler|scaler|training_args|trainer_state|rng_state(_\d+)?|global_step.*|zero_pp_rank_.*)\.(bin|pt|pth|json)"
)
_PICKLED = (".bin", ".pt", ".pth")
_WEIGHTS = (".safetensors", *_PICKLED)


def select(files: Iterable[RemoteFile]) -> tuple[list[RemoteFile], list[RemoteFile]]:
    """Split into what an engine needs and what it does not, both in the order given.

    Left out: hidden files, copies for other runtimes, pictures, states of training; pickled weights where the same
    folder has safetensors; and where a repository carries weights in Mistral's format beside those in the hub's, the
    latter, because vLLM reads Mistral's when it finds both.
    """
    everything = list(files)
    candidates = [file for file in everything if not _is_foreign(file.path)]
    duplicates = _duplicates([file.path for file in candidates])
    needed = [file for file in candidates if file.path not in duplicates]
    kept = {file.path for file in needed}
    return needed, [file for file in everything if file.path not in kept]


def _is_foreign(path: str) -> bool:
    *folders, name = PurePosixPath(path).parts
    return (
        any(part.startswith(".") for part in (*folders, name))
        or any(folder.lower() in _FOREIGN_FOLDERS for folder in folders)
        or PurePosixPath(name).suffix.lower() in _FOREIGN_SUFFIXES
        or _TRAINING_STATE.fullmatch(name) is not None
    )


def _duplicates(paths: Sequence[str]) -> set[str]:
    by_folder: dict[str, list[str]] = {}
    for path in paths:
        by_folder.setdefault(str(PurePosixPath(path).parent), []).append(path)
    return {path for folder, inside in by_folder.items() for path in _duplicates_of(inside, is_root=folder == ".")}


def _duplicates_of(paths: Sequence[str], *, is_root: bool) -> set[str]:
    with_suffix = {suffix: {path for path in paths if path.endswith(suffix)} for suffix in _WEIGHTS}
    duplicates: set[str] = set()
    for suffix, weights in with_suffix.items():
        if weights:
            duplicates.update(*(others for other, others in with_suffix.items() if other != suffix))
            duplicates.update(path for path in paths if _indexes(path, _PICKLED if suffix == ".safetensors" else ()))
            break
    if is_root and "params.json" in paths and any(is_consolidated(path) for path in paths):
        duplicates.update(p for p in with_suffix[".safetensors"] if not is_consolidated(p))
        duplicates.update(p for p in paths if _indexes(p, (".safetensors",)) and not p.startswith("consolidated"))
    return duplicates


def _indexes(path: str, suffixes: tuple[str, ...]) -> bool:
    return any(path.endswith(f"{suffix}.index.json") for suffix in suffixes)


def is_consolidated(path: str) -> bool:
    """Whether a path names weights in Mistral's own format."""
    return path.startswith("consolidated") and path.endswith(".safetensors")


def missing_from_model(paths: Iterable[str]) -> str | None:
    """What these files lack to be a model that vLLM loads, in words, or None where they are one."""
    root = {path for path in paths if "/" not in path}
    if any(path.endswith(".safetensors") or path.endswith(_PICKLED) for path in root):
        if "config.json" in root or "params.json" in root:
            return None
        if "adapter_config.json" in root:
            return "config.json: this is an adapter (LoRA), not a whole model"
        return "config.json"
    if any(path.endswith((".gguf", ".ggml")) for path in root):
        return "weights as .safetensors or .bin files: there is GGUF only"
    if "config.json" in root or "params.json" in root:
        return "the weights (.safetensors, .bin or .pt files beside config.json)"
    return "config.json and the weights (.safetensors, .bin or .pt files)"


def weights_size(files: Iterable[RemoteFile]) -> int:
    """Bytes of tensors among these files: what must fit into memory."""
    return sum(file.size for file in files if file.path.endswith((*_WEIGHTS, ".gguf")))
