"""Looks at everything once. Thin: what it means is decided by `examine`."""

from __future__ import annotations

import time

from penstock.config import Document
from penstock.config.weights import Weights
from penstock.doctor.checks.software import LIBRARIES
from penstock.doctor.facts import Facts, Running, SeenProvider
from penstock.doctor.probes import accounts, gpus, machine, software, sources
from penstock.errors import DocumentError

HOST_LIMIT = 6.0
SOURCE_LIMIT = 20.0
ACCOUNTS_LIMIT = 10.0
PROVIDERS_LIMIT = 10.0


def gather(
    document: Document | None,
    *,
    document_error: DocumentError | None = None,
    running: Running | None = None,
    offline: bool = False,
    deep: bool = False,
) -> Facts:
    """Facts of this machine, and of what the document names. Takes seconds; `deep` a minute more.

    Args:
        document_error: why there is no document though one was named.
        running: the Penstock of this machine, where one runs.
        offline: ask nobody outside.
        deep: list the options that the installed vLLM knows.
    """
    ask = document is not None and not offline
    return Facts(
        software=software.software(),
        document=document,
        document_error=document_error.message if document_error else "",
        document_remedy=document_error.remedy if document_error else None,
        libraries=software.libraries(LIBRARIES),
        memory=machine.memory(),
        cores=machine.cores(),
        gpus=gpus.gpus(),
        cache=machine.disk(document.weights.cache if document else Weights().cache),
        shared_memory=machine.disk(str(machine.SHARED_MEMORY)) if machine.SHARED_MEMORY.is_dir() else None,
        open_files=machine.open_files(),
        port=machine.port(document.gateway.host, document.gateway.port) if document else machine.port(*_default()),
        hosts=sources.hosts(document, limit=HOST_LIMIT) if ask and document else (),
        weights=sources.weights(document, offline=offline, limit=SOURCE_LIMIT) if document else (),
        key_sources=accounts.sources(document.accounts, offline=offline, limit=ACCOUNTS_LIMIT) if document else (),
        providers=_providers(document, offline=offline) if document and document.providers else (),
        offline=offline,
        flags=software.flags() if deep else None,
        clock=time.time(),
        installed_at=software.installed_at(),
        running=running,
    )


def _providers(document: Document, *, offline: bool) -> tuple[SeenProvider, ...]:
    # What it needs is worth importing only where there is one.
    from penstock.doctor.probes.providers import providers  # noqa: PLC0415

    return providers(document, offline=offline, limit=PROVIDERS_LIMIT)


def _default() -> tuple[str, int]:
    gateway = Document().gateway
    return gateway.host, gateway.port
