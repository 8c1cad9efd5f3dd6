"""The page's files, read once from the package: what is served at which path, with which header lines. Used by `app`.

A request's path is looked up in a table that was made from the package's own folder, so nothing else of the file system
can be reached, however a path is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from penstock.gateway.headers import Header, first

ALLOW: Final = "GET, HEAD, OPTIONS"
ENDPOINT: Final = "page"
"""Its name in metrics and logs, whichever file is asked for."""

_ASSETS: Final = Path(__file__).parent / "assets"
_CONTENT_TYPES: Final = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    b" form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Only what this address itself serves, nothing inline, and no text that becomes markup: an answer of a model can run
nothing here."""
_SAFE: Final[list[Header]] = [
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    # Looked at anew each time, so that a page never runs with the modules of another version.
    (b"cache-control", b"no-cache"),
]


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is answered."""

    body: bytes
    headers: list[Header]
    etag: bytes

    def answer(self, request_headers: list[Header]) -> tuple[int, list[Header], bytes]:
        """Status, header lines but for the length, and body: 304 where the browser has it already."""
        asked = first(request_headers, b"if-none-match")
        if asked is not None and _names(asked, self.etag):
            return 304, [line for line in self.headers if line[0] != b"content-type"], b""
        return 200, self.headers, self.body


@cache
def files() -> Mapping[str, File]:
    """All files by the path that they are served at: `/`, and `/page/...`."""
    found = {
        f"/page/{path.relative_to(_ASSETS).as_posix()}": _file(path)
        for path in sorted(_ASSETS.rglob("*"))
        if path.suffix in _CONTENT_TYPES
    }
    return {"/": found.pop("/page/index.html"), **found}


def _file(path: Path) -> File:
    body = path.read_bytes()
    etag = b'"%b"' % hashlib.sha256(body).hexdigest()[:32].encode()
    return File(body, [(b"content-type", _CONTENT_TYPES[path.suffix]), (b"etag", etag), *_SAFE], etag)


def _names(asked: bytes, etag: bytes) -> bool:
    return asked.strip() == b"*" or etag in [one.strip().removeprefix(b"W/") for one in asked.split(b",")]
