"""The Hugging Face hub, or a mirror of it: a listing with sizes and digests at one commit, and its addresses.

Speaks the hub's two plain HTTP calls itself. The hub's own library (whose calls a test makes against the same test
server) has a different HTTP client in each of its major versions, reads a dozen environment variables, cannot be
cancelled, and verifies no digest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import aiohttp
from pydantic import BaseModel, Field, ValidationError
from yarl import URL

from penstock.config import Source
from penstock.config.weights import Hub as HubSettings
from penstock.engine.weights.errors import ChangedError
from penstock.engine.weights.files import Checksum, Patience, RemoteFile, Snapshot
from penstock.engine.weights.remote import Address
from penstock.engine.weights.retry import (
    NETWORK_ERRORS,
    TransientError,
    is_busy,
    network_error,
    patiently,
    retry_after,
)
from penstock.environment import variable
from penstock.errors import WeightsError

DEFAULT_TOKEN_VARIABLE = "HF_TOKEN"  # noqa: S105  # the name of a variable, not its value
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Token(NamedTuple):
    """A token of the hub, or that there is none, and where it is looked for."""

    value: str | None
    origin: str

    def __repr__(self) -> str:
        return f"Token({'set' if self.value else 'not set'}, {self.origin})"


def read_token(settings: HubSettings) -> Token:
    """The token that the document points at. Raises WeightsError where it points at nothing."""
    place = settings.token
    if place is not None and place.file is not None:
        origin = f"the file {place.file} (weights.hub.token)"
        try:
            value = Path(place.file).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise WeightsError(
                f"The hub's token cannot be read from {origin}: {getattr(error, 'strerror', None) or 'it is no text'}.",
                remedy="Put the token into that file, readable for this user, or name another in weights.hub.token.",
            ) from None
    elif place is not None:
        origin = f"the variable {place.env} (weights.hub.token)"
        value = (variable(place.env or "") or "").strip()
    else:
        origin = f"the variable {DEFAULT_TOKEN_VARIABLE}"
        value = (variable(DEFAULT_TOKEN_VARIABLE) or "").strip()
    if not value and place is not None:
        raise WeightsError(
            f"The hub's token should come from {origin}, which is empty or not set.",
            remedy="Set it there, or remove weights.hub.token for public repositories.",
        )
    if value and not (value.isascii() and value.isprintable() and " " not in value):
        raise WeightsError(f"What {origin} holds is no token: it has spaces or characters that a token never has.")
    return Token(value or None, origin)


def is_commit(revision: str | None) -> bool:
    """Whether a revision names a commit, which never moves."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


class _Lfs(BaseModel):
    sha256: str
    size: int | None = None


class _Sibling(BaseModel):
    rfilename: str
    size: int | None = None
    blob_id: str | None = Field(default=None, alias="blobId")
    lfs: _Lfs | None = None

    def file(self, commit: str) -> RemoteFile | None:
        size = self.lfs.size if self.lfs and self.lfs.size is not None else self.size
        if size is None:
            return None
        checksum = None
        if self.lfs is not None:
            checksum = Checksum("sha256", self.lfs.sha256.lower())
        elif self.blob_id is not None and _COMMIT.fullmatch(self.blob_id):
            checksum = Checksum("git-sha1", self.blob_id)
        return RemoteFile(self.rfilename, size, checksum, etag=None if checksum else commit)


class _ModelInfo(BaseModel):
    sha: str = Field(pattern=_COMMIT)
    siblings: list[_Sibling]


class HubRemote:
    """A repository at a revision. `snapshot` first: addresses are those of its commit."""

    def __init__(self, source: Source, settings: HubSettings, http: aiohttp.ClientSession, patience: Patience) -> None:
        self._repository = source.location
        self._revision = source.revision or "main"
        self._endpoint = settings.endpoint.rstrip("/")
        self._token = read_token(settings)
        self._http = http
        self._patience = patience
        self._commit = ""

    @property
    def title(self) -> str:
        parts = urlsplit(self._endpoint)
        return f"the hub {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    async def snapshot(self) -> Snapshot:
        body = await patiently(self._list, what=self.title, patience=self._patience)
        try:
            info = _ModelInfo.model_validate_json(body)
        except ValidationError as error:
            raise WeightsError(
                f"{_capital(self.title)} answered with something that is no listing of a model"
                f" ({error.error_count()} faults, the first at {error.errors()[0]['loc']}).",
                remedy="Check that weights.hub.endpoint is a hub, and not a login page or a proxy.",
            ) from None
        self._commit = info.sha
        files = [sibling.file(info.sha) for sibling in info.siblings]
        if any(file is None for file in files):
            raise WeightsError(f"{_capital(self.title)} gives no sizes for {self._repository}'s files.")
        return Snapshot(info.sha, tuple(file for file in files if file is not None))

    async def _list(self) -> bytes:
        url = f"{self._endpoint}/api/models/{self._repository}/revision/{quote(self._revision, safe='')}?blobs=true"
        host = urlsplit(self._endpoint).hostname or self._endpoint
        try:
            async with self._http.get(URL(url, encoded=True), headers=self._headers()) as response:
                if is_busy(response.status):
                    raise TransientError(f"{host} answered {response.status}", after=retry_after(response.headers))
                if response.status != 200:
                    raise self._refused(response.status, response.headers)
                return await response.read()
        except NETWORK_ERRORS as error:
            raise network_error(error, host) from None

    async def address(self, file: RemoteFile) -> Address:
        url = f"{self._endpoint}/{self._repository}/resolve/{self._commit}/{quote(file.path)}"
        return Address(url, self._headers())

    def refusal(self, file: RemoteFile, status: int, headers: Mapping[str, str], /) -> WeightsError | ChangedError:
        if status in {404, 412}:
            return ChangedError(f"{file.path} is listed at {self._commit} but not there ({status})")
        return self._refused(status, headers)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token.value}"} if self._token.value else {}

    def _refused(self, status: int, headers: Mapping[str, str]) -> WeightsError:
        return explain(
            status, headers, repository=self._repository, revision=self._revision, hub=self.title, token=self._token
        )


def explain(
    status: int, headers: Mapping[str, str], *, repository: str, revision: str, hub: str, token: Token
) -> WeightsError:
    """What the hub's refusal means to a person. The hub says 401 for "no such repository" as well."""
    code = headers.get("X-Error-Code", "")
    bad_token = "invalid credentials" in headers.get("X-Error-Message", "").lower()
    if token.value and (bad_token or (status == 401 and code != "RepoNotFound")):
        return WeightsError(
            f"{_capital(hub)} does not accept the token of {token.origin} ({status}).",
            remedy=f"Make a new token with read access and put it into {token.origin}.",
        )
    if code == "GatedRepo" or status == 403:
        return WeightsError(
            f"The repository {repository} is gated, and "
            + (f"the account of the token of {token.origin} has no access" if token.value else "no token is given")
            + f" ({status} from {hub}).",
            remedy=f"Ask for access on the repository's page, then put a token of that account into {token.origin}.",
        )
    if code == "RevisionNotFound":
        return WeightsError(
            f"The repository {repository} on {hub} has no revision {revision!r}.",
            remedy="Name a branch, a tag or a whole commit after the @ of the source.",
        )
    if status in {401, 404}:
        return WeightsError(
            f"There is no repository {repository} on {hub}, or it is private and "
            + (f"the token of {token.origin} may not read it" if token.value else "no token is given")
            + f" ({status}).",
            remedy=f"Check its name; for a private one, put a token with access into {token.origin}.",
        )
    return WeightsError(f"{_capital(hub)} refused {repository} with status {status}.")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
