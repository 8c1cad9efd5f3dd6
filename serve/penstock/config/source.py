"""Where weights come from: `hf://repo[@revision]`, `s3://`, `gs://`, `pvc://`, `file://` or a bare path."""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import AfterValidator, Field

Scheme = Literal["hf", "s3", "gs", "pvc", "file"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

_REPO = re.compile(r"[\w.-]+(?:/[\w.-]+)?")
_REVISION = re.compile(r"[\w./-]+")
HUB = "hf://"
"""How a repository on the hub is written."""

_FORMS = "hf://org/repo[@revision], s3://bucket/prefix, gs://bucket/prefix, pvc://claim/path, file:///path or a path"


class Source(NamedTuple):
    """A parsed source.

    `location` is the repository, the bucket, the claim, or for files the path; `path` what is inside a bucket or a
    claim (no leading or trailing slash); `revision` a branch, tag or commit of a hub repository.
    """

    scheme: Scheme
    location: str
    path: str = ""
    revision: str | None = None

    def __str__(self) -> str:
        if self.scheme == "file":
            return f"file://{self.location}"
        tail = f"/{self.path}" if self.path else ""
        return f"{self.scheme}://{self.location}{tail}" + (f"@{self.revision}" if self.revision else "")


def parse_source(text: str) -> Source:
    """Raises ValueError saying what was found and what forms there are."""
    if not text.strip():
        raise ValueError(f"the source is empty; allowed are {_FORMS}")
    if "://" not in text:
        return Source("file", text)
    scheme, _, rest = text.partition("://")
    if scheme == "hf":
        return _parse_hub(text, rest)
    if scheme == "file":
        if not rest.startswith("/"):
            raise ValueError(f"{text!r} has no absolute path after file://; write file:///path, or a bare path")
        return Source("file", rest)
    if scheme in SCHEMES:
        location, _, path = rest.partition("/")
        if not location:
            raise ValueError(f"{text!r} names no {'claim' if scheme == 'pvc' else 'bucket'}; allowed are {_FORMS}")
        return Source(scheme, location, path.strip("/"))
    raise ValueError(f"{text!r} has the unknown scheme {scheme!r}; allowed are {_FORMS}")


def _parse_hub(text: str, rest: str) -> Source:
    repo, at, revision = rest.partition("@")
    if _REPO.fullmatch(repo) is None:
        raise ValueError(f"{text!r} names no repository; write hf://org/repo or hf://org/repo@revision")
    if at and _REVISION.fullmatch(revision) is None:
        raise ValueError(f"{text!r} has an @ but no revision after it; name a branch, a tag or a commit")
    return Source("hf", repo, revision=revision or None)


def _check(text: str) -> str:
    parse_source(text)
    return text


SourceText = Annotated[str, AfterValidator(_check), Field(min_length=1)]
"""A source as written in the document, checked."""
