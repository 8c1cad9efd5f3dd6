"""A provider's failure as the client's error. Pure; used by `asking`.

What a provider says of its own failures is not passed on: it may name our account there, or a part of our key.
"""

from __future__ import annotations

from typing import Final

from penstock.gateway.errors import (
    ProviderBusyError,
    ProviderFaultError,
    ProviderOpenError,
    ProviderTooSlowError,
)
from penstock.gateway.headers import Header, first
from penstock.gateway.providers.broken import ProviderBrokeError

_USUAL_WAIT: Final = 5.0
_LONGEST_WAIT: Final = 3600.0


def broke(provider: str, error: ProviderBrokeError) -> ProviderFaultError:
    """It gave no answer."""
    if error.fault == "timeout":
        return ProviderTooSlowError(
            f"The provider {provider!r} did not answer in time (providers.{provider}.timeouts). Send the request again."
        )
    if error.fault == "certificate":
        return ProviderFaultError(
            f"The certificate of the provider {provider!r} is not to be trusted, so nothing was sent to it. `penstock"
            " doctor` says more.",
            code="provider_certificate",
        )
    what = "cannot be reached" if error.fault == "unreachable" else "broke off before its answer began"
    return ProviderFaultError(
        f"The provider {provider!r} {what}. Send the request again; `penstock doctor` says more.",
        code="provider_unreachable",
    )


def keyless(provider: str) -> ProviderFaultError:
    """Its key is not where the document says."""
    return ProviderFaultError(
        f"The key of the provider {provider!r} cannot be read, so nothing was sent to it. The gateway's log names the"
        " place that the document names.",
        code="provider_key_missing",
    )


def left_alone(provider: str, wait: float) -> ProviderOpenError:
    """Its breaker is open."""
    return ProviderOpenError(
        f"The provider {provider!r} failed again and again, so nothing is sent to it for a while"
        f" (providers.{provider}.breaker). Try again later.",
        retry_after=max(wait, 1.0),
    )


def interrupted(provider: str) -> ProviderFaultError:
    """It broke off in the middle of its answer."""
    return ProviderFaultError(
        f"The provider {provider!r} broke off in the middle of its answer. Send the request again.",
        code="provider_stream_interrupted",
    )


def too_slow(provider: str, longest: float) -> ProviderTooSlowError:
    """The whole took too long."""
    return ProviderTooSlowError(
        f"The provider {provider!r} took longer than {longest:g} s, which is as long as gateway.longestRequest allows."
    )


def of_status(provider: str, status: int, headers: list[Header]) -> ProviderFaultError | None:
    """Its status is an error that is not the client's; None where it is an answer, or an error of the request."""
    if status == 429:
        return ProviderBusyError(
            f"The provider {provider!r} takes no more requests of ours for now: its limit is reached. Try again later.",
            retry_after=_retry_after(first(headers, b"retry-after")),
        )
    if status in (401, 403, 407):
        return ProviderFaultError(
            f"The provider {provider!r} does not accept our key for this. Whoever runs this gateway has to look at"
            f" providers.{provider}.key.",
            code="provider_key_refused",
        )
    if 300 <= status < 400:
        return ProviderFaultError(
            f"The provider {provider!r} sends us elsewhere ({status}), and a key goes to no other address than the"
            f" document's. Whoever runs this gateway has to look at providers.{provider}.baseUrl.",
            code="provider_redirects",
        )
    if status >= 500 or not 200 <= status < 500:
        return ProviderFaultError(f"The provider {provider!r} failed with status {status}. Send the request again.")
    return None


def nonsense(provider: str, *, streams: bool) -> ProviderFaultError:
    """Its answer is no answer to what was asked."""
    wanted = "a stream of events" if streams else "JSON"
    return ProviderFaultError(
        f"The provider {provider!r} answered something else than {wanted}.", code="provider_nonsense"
    )


def _retry_after(value: bytes | None) -> float:
    # A date is allowed, too, and nobody sends one.
    if value is None or not value.strip().isdigit() or len(value) > 9:
        return _USUAL_WAIT
    return min(float(value), _LONGEST_WAIT)
