"""Names in the cache: readable at the front, unique by a hash at the end. Pure."""

from __future__ import annotations

import hashlib
import re

from penstock.config import Source

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_READABLE_LENGTH = 80


def source_name(source: Source, endpoint: str | None) -> str:
    """Name of what a document asks for: `hf--Qwen--Qwen3-8B--main-1a2b3c4d5e`. The same for every version of it."""
    revision = source.revision or ("main" if source.scheme == "hf" else "")
    identity = (source.scheme, endpoint or "", source.location, source.path, revision)
    return _named(_readable(source, revision), identity)


def entry_name(source: Source, endpoint: str | None, resolved: str) -> str:
    """Name of one version: `hf--Qwen--Qwen3-8B--0123456789ab-1a2b3c4d5e`. The same whichever branch led to it."""
    identity = (source.scheme, endpoint or "", source.location, source.path, resolved)
    return _named(_readable(source, resolved[:12]), identity)


def _readable(source: Source, version: str) -> str:
    return "--".join(part for part in (source.scheme, source.location, source.path, version) if part)


def _named(readable: str, identity: tuple[str, ...]) -> str:
    # NUL cannot be part of any of them, so different tuples cannot meet.
    digest = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:10]
    front = _UNSAFE.sub("-", readable.replace("/", "--"))[:_READABLE_LENGTH].strip(".-")
    return f"{front}-{digest}"


def is_safe_path(path: str) -> bool:
    """Whether a path given by a remote stays below the folder that it is joined to, on any file system."""
    parts = path.split("/")
    return (
        bool(path)
        and all(part not in {"", ".", ".."} for part in parts)
        and "\\" not in path
        and path.isprintable()
        and all(len(part.encode()) <= 255 for part in parts)
    )
