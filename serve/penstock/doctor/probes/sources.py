"""Where weights come from: does it answer, what would be fetched, and what of it is in the cache."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path

import aiohttp
from yarl import URL

from penstock.config import Document, Source, parse_source
from penstock.config import Weights as Settings
from penstock.doctor.facts import Host, Weights
from penstock.doctor.probes.together import together
from penstock.engine.weights import Listing, Patience, RemoteFile, UnreachableError, inspect, weights_size
from penstock.engine.weights.names import source_name
from penstock.engine.weights.places import endpoint_of, open_remote
from penstock.engine.weights.store import Store
from penstock.engine.weights.transfer import new_session
from penstock.errors import WeightsError

_AMAZON = "https://s3.amazonaws.com"
_GOOGLE = "https://storage.googleapis.com"
_PATIENCE = Patience(attempts=1, connect=5.0, silence=8.0)


def hosts(document: Document, *, limit: float) -> tuple[Host, ...]:
    """The services that the document's sources name, each asked once, all at the same time."""
    settings = document.weights
    services = {
        "hf": settings.hub.endpoint,
        "s3": settings.s3.endpoint or _AMAZON,
        "gs": settings.gcs.endpoint or _GOOGLE,
    }
    schemes = {source.scheme for _, source in _sources(document)}
    urls = sorted({url for scheme, url in services.items() if scheme in schemes})
    jobs = [partial(_ask, url, limit) for url in urls]
    late = [Host(url, error=f"no answer within {limit:.0f} seconds") for url in urls]
    return tuple(together(jobs, late, limit + 1))


def weights(document: Document, *, offline: bool, limit: float) -> tuple[Weights, ...]:
    """The weights of every model that needs some. Nothing is downloaded.

    Args:
        offline: look into the cache only.
        limit: seconds for all of them together.
    """
    wanted = list(_sources(document))
    jobs = [partial(_look, name, source, document.weights, offline=offline) for name, source in wanted]
    late = [
        _from_cache(name, source, document.weights, error=f"{source} did not answer within {limit:.0f} seconds.")
        for name, source in wanted
    ]
    return tuple(together(jobs, late, limit))


def _sources(document: Document) -> Iterable[tuple[str, Source]]:
    for name, model in document.models.items():
        if model.engine == "vllm" and model.source:
            yield name, parse_source(model.source)


def _ask(url: str, limit: float) -> Host:
    request = urllib.request.Request(url, method="HEAD", headers={"user-agent": "penstock-doctor"})  # noqa: S310  # below
    if not url.startswith(("http://", "https://")):
        return Host(url, error="it is no http:// or https:// address")
    try:
        with urllib.request.urlopen(request, timeout=limit) as answer:  # noqa: S310  # the scheme is checked above
            return Host(url, skew=_skew(answer.headers.get("date")))
    except urllib.error.HTTPError as error:
        # Any answer is an answer: object stores refuse strangers at the door.
        error.close()
        return Host(url, skew=_skew(error.headers.get("date")))
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return Host(url, error=str(reason).rstrip("."))


def _skew(date: str | None) -> float | None:
    if not date:
        return None
    try:
        return time.time() - parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _look(name: str, source: Source, settings: Settings, *, offline: bool) -> Weights:
    local = source.scheme in ("file", "pvc")
    if offline and not local:
        return _from_cache(name, source, settings, error="")
    try:
        listing = inspect(source, settings, patience=_PATIENCE)
        if not listing.cached:
            asyncio.run(_read_a_little(source, settings, listing))
    except UnreachableError as error:
        return _from_cache(name, source, settings, error=error.message, remedy=error.remedy)
    except WeightsError as error:
        return Weights(name, str(source), error=error.message, remedy=error.remedy)
    except OSError as error:
        return Weights(name, str(source), error=f"{source} cannot be read: {error.strerror or error}.")
    return _from_listing(name, listing)


async def _read_a_little(source: Source, settings: Settings, listing: Listing) -> None:
    """Whoever may list a source may not always read it: the hub shows gated repositories to everyone.

    Raises WeightsError where reading is refused.
    """
    file = min(listing.files, key=lambda file: file.size)
    async with new_session(_PATIENCE) as http:
        remote = open_remote(source, settings, http, _PATIENCE)
        await remote.snapshot()
        address = await remote.address(file)
        headers = {**address.headers, "Range": "bytes=0-0"}
        try:
            async with http.get(URL(address.url, encoded=True), headers=headers, allow_redirects=False) as answer:
                status, told = answer.status, answer.headers
        except (aiohttp.ClientError, TimeoutError):
            return  # it was listed a moment ago, and a fetch tries harder
        refusal = remote.refusal(file, status, told) if status in (401, 403) else None
        if isinstance(refusal, WeightsError):
            raise refusal


def _from_listing(name: str, listing: Listing) -> Weights:
    return Weights(
        name,
        str(listing.source),
        files=len(listing.files),
        download=listing.size,
        tensors=weights_size(listing.files),
        cached=listing.cached,
    )


def _from_cache(name: str, source: Source, settings: Settings, *, error: str, remedy: str | None = None) -> Weights:
    """What the cache holds of a source that was not asked, or did not answer."""
    files = _cached(source, settings)
    return Weights(
        name,
        str(source),
        files=len(files),
        download=sum(file.size for file in files),
        tensors=weights_size(files),
        cached=bool(files),
        error=error,
        remedy=remedy,
        unreachable=bool(error),
    )


def _cached(source: Source, settings: Settings) -> tuple[RemoteFile, ...]:
    try:
        store = Store(Path(settings.cache).expanduser(), settings.limit)
        entry = store.last(source_name(source, endpoint_of(source, settings)))
        manifest = store.manifest(entry) if entry is not None else None
    except (OSError, RuntimeError, ValueError):
        return ()
    return manifest.files if manifest is not None else ()
