"""The document: pydantic models, loading, schema. Imports nothing else of the package but the leaves `errors` and
`environment`."""

from penstock.config.cache import AnswerCache
from penstock.config.document import Document
from penstock.config.gateway import Gateway
from penstock.config.hardware import Hardware
from penstock.config.models import Model, Replicas, Startup
from penstock.config.source import Source, parse_source
from penstock.config.weights import Weights

__all__ = [
    "AnswerCache",
    "Document",
    "Gateway",
    "Hardware",
    "Model",
    "Replicas",
    "Source",
    "Startup",
    "Weights",
    "parse_source",
]
