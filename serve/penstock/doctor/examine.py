"""Facts → findings, in the order in which a person would look. Pure, and total: no facts make it raise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from penstock.doctor.checks import accounts, documents, gpus, machine, memory, providers, running, software, sources
from penstock.doctor.facts import Facts
from penstock.doctor.findings import Finding, Level

Check = Callable[[Facts], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    software.python,
    software.penstock,
    software.ray,
    software.engine,
    software.libraries,
    documents.document,
    documents.options,
    documents.unknown_options,
    machine.processors,
    memory.memory,
    gpus.gpus,
    machine.cache,
    machine.shared_memory,
    machine.open_files,
    machine.port,
    machine.clock,
    sources.hosts,
    sources.weights,
    providers.providers,
    accounts.open_to_all,
    accounts.sources,
    accounts.listed,
    accounts.counted,
    running.running,
)


def examine(facts: Facts) -> list[Finding]:
    """Everything that there is to say."""
    return [finding for check in CHECKS for finding in check(facts)]


def has_problem(findings: Sequence[Finding]) -> bool:
    """Whether something must be changed before Penstock can work."""
    return any(finding.level is Level.PROBLEM for finding in findings)
