"""Forms of hosts, origins and endpoints. Used by the sections that name one."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")


def host_problem(text: str) -> str | None:
    """Why a text is no address or name of a host; None where it is one."""
    if _is_host(text):
        return None
    return f"{text!r} is no host; write an address such as 127.0.0.1, 0.0.0.0 or ::, or a name; the port is apart"


def is_loopback(host: str) -> bool:
    """Whether an address or name to listen on is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def origin_problem(text: str) -> str | None:
    """Why a text is no origin of a web page; None where it is one."""
    parts = _split(text)
    if parts is not None and not (parts.path or parts.query or parts.fragment or parts.username is not None):
        return None
    hint = f"; write {parts.scheme}://{parts.netloc}" if parts is not None and parts.username is None else ""
    return f"{text!r} is no origin{hint or '; write scheme://host or scheme://host:port, or *'}"


def checked_endpoint(text: str) -> str:
    """An endpoint without slashes at its end. Raises ValueError; the text is not shown where it may hold a secret."""
    parts = _split(text)
    if parts is not None and parts.username is not None:
        raise ValueError("the address holds a name or a password; a secret never stands in the document")
    if parts is None or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        shown = "this" if "@" in text else repr(text)
        raise ValueError(f"{shown} is no endpoint; write http://host:port or https://host, with a path if there is one")
    return text.rstrip("/")


def _split(text: str) -> SplitResult | None:
    """The parts of an address with a scheme, a valid host and a valid port, or None."""
    if not text.isascii() or not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
        valid_port = parts.port != 0
    except ValueError:
        return None
    whole = bool(parts.scheme and parts.hostname and valid_port and not parts.netloc.endswith(":"))
    return parts if whole and _is_host(parts.hostname or "") else None


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return len(text) <= 253 and _HOST_NAME.fullmatch(text) is not None and not _looks_like_address(text)
    return True


def _looks_like_address(text: str) -> bool:
    return re.fullmatch(r"[0-9.]+", text) is not None
