"""Errors that a person reads, by what they must do next. Raised everywhere, printed by the command line.

PenstockError
├── DocumentError      change the document (or a --set, or an option of the command)
├── WeightsError       change where the weights come from, or what is allowed to read them
├── EngineError        look at the engine: its log says what is wrong with the options or the machine
├── MachineError       change the machine: a port is taken, a library or memory is missing
└── NotRunningError    start it first, or name the right address

What a client of the HTTP address sees is another tree: `penstock.gateway.errors`.
"""

from __future__ import annotations


class PenstockError(Exception):
    """Something a person can act on.

    Args:
        message: what was found and why it is wrong, in whole sentences.
        remedy: what to do about it; a command where there is one.
    """

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Errors travel between Ray's processes by pickle, which would lose keyword arguments.
        return (_rebuild, (type(self), self.message, self.remedy))


def _rebuild(kind: type[PenstockError], message: str, remedy: str | None) -> PenstockError:
    return kind(message, remedy=remedy)


class DocumentError(PenstockError):
    """The document, a `--set` or a command's option is wrong."""


class WeightsError(PenstockError):
    """The weights of a model cannot be had."""


class EngineError(PenstockError):
    """The engine did not start, or stopped."""


class MachineError(PenstockError):
    """The machine lacks something."""


class NotRunningError(PenstockError):
    """There is no running Penstock to talk to."""
