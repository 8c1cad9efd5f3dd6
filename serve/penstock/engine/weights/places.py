"""From a source to the remote that reads it. What needs an extra is imported only when a source asks for it."""

from __future__ import annotations

import aiohttp

from penstock.config import Source, Weights
from penstock.engine.weights.files import Patience
from penstock.engine.weights.hub import HubRemote
from penstock.engine.weights.remote import Remote
from penstock.errors import WeightsError


def open_remote(source: Source, settings: Weights, http: aiohttp.ClientSession, patience: Patience) -> Remote:
    """The remote of a source that is neither a folder nor a claim.

    Raises WeightsError where its library is not installed, or the document points at a token that is not there.
    """
    match source.scheme:
        case "hf":
            return HubRemote(source, settings.hub, http, patience)
        case "s3":
            try:
                from penstock.engine.weights.s3 import S3Remote  # noqa: PLC0415  # boto3 is an extra
            except ImportError as error:
                raise _not_installed(source, "boto3", "s3", error) from None
            return S3Remote(source, settings.s3, patience)
        case "gs":
            try:
                from penstock.engine.weights.gcs import GcsRemote  # noqa: PLC0415  # Google's library is an extra
            except ImportError as error:
                raise _not_installed(source, "google-cloud-storage", "gcs", error) from None
            return GcsRemote(source, settings.gcs, patience)
        case _:
            raise ValueError(f"{source} is on this machine")


def endpoint_of(source: Source, settings: Weights) -> str | None:
    """The address of a source's service, where the document names one: the same path elsewhere is another source."""
    return {"hf": settings.hub.endpoint, "s3": settings.s3.endpoint, "gs": settings.gcs.endpoint}.get(source.scheme)


def _not_installed(source: Source, library: str, extra: str, error: ImportError) -> WeightsError:
    return WeightsError(
        f"{source} needs {library}, which cannot be imported: {error}.",
        remedy=f"Install it: pip install 'penstock[{extra}]'",
    )
