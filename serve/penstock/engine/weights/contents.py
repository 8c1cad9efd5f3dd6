"""What is in the cache of weights, and taking it out. Called by `penstock list` and `penstock rm`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from penstock.config import Source, Weights
from penstock.engine.weights.errors import from_os_error
from penstock.engine.weights.names import entry_name, source_name
from penstock.engine.weights.partial import SUFFIX
from penstock.engine.weights.places import endpoint_of
from penstock.engine.weights.select import weights_size
from penstock.engine.weights.store import Store
from penstock.errors import WeightsError


@dataclass(frozen=True, slots=True)
class Kept:
    """A folder of the cache."""

    name: str
    """Of the folder."""
    source: str
    """As documents name it, with the version that it is; empty of a download that is not whole."""
    size: int
    """Bytes; of a download, of all that is to come."""
    tensors: int | None
    """Bytes of weights among them; None where that is not known yet."""
    used: float
    """When it was used last, in seconds since the epoch."""
    in_use: bool
    """Whether an engine has it, or a download goes on."""
    whole: bool


def contents(settings: Weights) -> list[Kept]:
    """All of it, by name. Empty where there is no cache yet. Raises WeightsError where it cannot be read."""
    cache = Path(settings.cache).expanduser()
    if not cache.exists():
        return []
    store = Store(cache, settings.limit)
    try:
        found = []
        for item in store.stored():
            manifest = None if item.name.endswith(SUFFIX) else store.manifest(item.name)
            found.append(
                Kept(
                    item.name,
                    f"{manifest.source.partition('@')[0]}@{manifest.resolved[:12]}" if manifest else "",
                    item.size,
                    weights_size(manifest.files) if manifest else None,
                    item.used,
                    item.in_use,
                    whole=manifest is not None,
                )
            )
    except OSError as error:
        raise from_os_error(error, cache) from error
    return sorted(found, key=lambda kept: kept.name)


def fitting(wanted: str, kept: list[Kept], source: Source | None, settings: Weights) -> list[Kept]:
    """What a person means: a folder's name, a source with or without its version, or the end of one.

    Args:
        source: what `wanted` is as a source, where it is one.
    """
    exact = [item for item in kept if wanted in (item.name, item.source)]
    if exact:
        return exact
    if source is not None:
        endpoint = endpoint_of(source, settings)
        names = {f"{source_name(source, endpoint)}{SUFFIX}"}
        if source.revision is not None:
            names.add(entry_name(source, endpoint, source.revision))
            return [item for item in kept if item.name in names]
        plain = str(source)
        return [item for item in kept if item.name in names or item.source.partition("@")[0] == plain]
    lowered = wanted.lower()
    return [item for item in kept if item.source.partition("@")[0].lower().endswith(f"/{lowered}")]


def check_free(item: Kept) -> None:
    """Raises WeightsError where it is in use."""
    if item.in_use:
        raise _in_use(item)


def remove(item: Kept, settings: Weights) -> None:
    """Take it out of the cache. Raises WeightsError where it is in use or cannot be removed."""
    cache = Path(settings.cache).expanduser()
    try:
        removed = Store(cache, settings.limit).remove(item.name)
    except OSError as error:
        raise from_os_error(error, cache) from error
    if not removed:
        raise _in_use(item)


def _in_use(item: Kept) -> WeightsError:
    return WeightsError(
        f"{item.source or item.name} is in use: an engine has it, or a download goes on.",
        remedy="Stop what uses it, with `penstock down` or by taking the model out of the document; then remove it.",
    )
