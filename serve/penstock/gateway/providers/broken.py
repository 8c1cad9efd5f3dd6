"""What may happen on the way to a provider. Raised by `client`, told to people by `faults`."""

from __future__ import annotations

from typing import Literal

Fault = Literal["unreachable", "certificate", "timeout", "broken"]


class ProviderBrokeError(Exception):
    """No answer, or not the whole of it. The text is for logs."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault: Fault = fault
