"""Weights of a model on this machine: fetched once per node, resumed, verified, kept in a cache of bounded size."""

from penstock.engine.weights.contents import Kept, check_free, contents, fitting, remove
from penstock.engine.weights.errors import FetchCancelledError, UnreachableError
from penstock.engine.weights.fetch import fetch, inspect
from penstock.engine.weights.files import Listing, Patience, Progress, RemoteFile
from penstock.engine.weights.search import FoundModel, search
from penstock.engine.weights.select import weights_size
from penstock.engine.weights.store import Held

__all__ = [
    "FetchCancelledError",
    "FoundModel",
    "Held",
    "Kept",
    "Listing",
    "Patience",
    "Progress",
    "RemoteFile",
    "UnreachableError",
    "check_free",
    "contents",
    "fetch",
    "fitting",
    "inspect",
    "remove",
    "search",
    "weights_size",
]
