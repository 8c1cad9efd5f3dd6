"""Weights of a model on this machine: fetched once per node, resumed, verified, kept in a cache of bounded size."""

from penstock.engine.weights.errors import FetchCancelledError, UnreachableError
from penstock.engine.weights.fetch import fetch, inspect
from penstock.engine.weights.files import Listing, Patience, Progress, RemoteFile
from penstock.engine.weights.select import weights_size
from penstock.engine.weights.store import Held

__all__ = [
    "FetchCancelledError",
    "Held",
    "Listing",
    "Patience",
    "Progress",
    "RemoteFile",
    "UnreachableError",
    "fetch",
    "inspect",
    "weights_size",
]
