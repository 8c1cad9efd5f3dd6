"""Google Cloud Storage: Google's library lists and has the credentials, the common download reads the objects.

Imported only where a source asks for it: the library is an extra.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import google.auth
import requests
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.auth.transport.requests import Request
from google.cloud import storage

from penstock.config import Source
from penstock.config.weights import Gcs as GcsSettings
from penstock.engine.weights.errors import ChangedError, UnreachableError
from penstock.engine.weights.files import Checksum, Patience, RemoteFile, Snapshot
from penstock.engine.weights.remote import Address, digest_of, in_thread
from penstock.errors import WeightsError

DEFAULT_ENDPOINT = "https://storage.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"


class GcsRemote:
    """The objects below a prefix of a bucket. With an endpoint of its own, as in tests, without credentials."""

    def __init__(self, source: Source, settings: GcsSettings, patience: Patience) -> None:
        self._bucket = source.location
        self._prefix = f"{source.path}/" if source.path else ""
        self._endpoint = (settings.endpoint or DEFAULT_ENDPOINT).rstrip("/")
        self._own_endpoint = settings.endpoint is not None
        self._patience = patience
        self._credentials: Any = None
        self._signing = threading.Lock()
        self._anonymous = False

    @property
    def title(self) -> str:
        return f"gs://{self._bucket}/{self._prefix}"

    async def snapshot(self) -> Snapshot:
        files = await in_thread(self._list)
        return Snapshot(digest_of(files), tuple(files))

    async def address(self, file: RemoteFile) -> Address:
        name = quote(self._prefix + file.path, safe="")
        url = f"{self._endpoint}/download/storage/v1/b/{self._bucket}/o/{name}?alt=media&generation={file.etag}"
        return Address(url, await in_thread(self._headers))

    def refusal(self, file: RemoteFile, status: int, _headers: Mapping[str, str], /) -> WeightsError | ChangedError:
        if status in {404, 412}:
            return ChangedError(f"{self.title}{file.path} is no longer what was listed ({status})")
        return self._explain(status)

    def _list(self) -> list[RemoteFile]:
        try:
            self._find_credentials()
            client = storage.Client(
                project="none",  # listing objects needs no project, but the library wants one
                credentials=self._credentials,
                client_options={"api_endpoint": self._endpoint},
            )
            timeout = (self._patience.connect, self._patience.silence)
            retry = storage.retry.DEFAULT_RETRY.with_timeout(self._patience.silence * self._patience.attempts)
            # Blobs of one page at a time, with the fields that are used and no others.
            fields = "items(name,size,md5Hash,generation),nextPageToken"
            blobs = client.list_blobs(self._bucket, prefix=self._prefix, timeout=timeout, fields=fields, retry=retry)
            try:
                return [self._file(blob) for blob in blobs if not blob.name.endswith("/")]
            finally:
                client.close()
        except (requests.RequestException, RetryError, TransportError) as error:
            raise UnreachableError(
                f"Google Cloud Storage ({self._endpoint}) does not answer ({type(error).__name__}).",
                remedy="Check the network and the proxy.",
            ) from None
        except GoogleAuthError as error:
            raise WeightsError(
                f"Google's credentials for {self.title} cannot be used ({type(error).__name__}).",
                remedy="Renew them: `gcloud auth application-default login`, or check the pod's service account.",
            ) from None
        except GoogleAPICallError as error:
            raise self._explain(int(error.code or 0)) from None

    def _find_credentials(self) -> None:
        if self._own_endpoint:
            self._credentials = AnonymousCredentials()
            return
        try:
            self._credentials, _ = google.auth.default(scopes=[_SCOPE])
        except DefaultCredentialsError:
            self._anonymous, self._credentials = True, AnonymousCredentials()

    def _file(self, blob: Any) -> RemoteFile:
        checksum = Checksum("md5", base64.b64decode(blob.md5_hash).hex()) if blob.md5_hash else None
        return RemoteFile(blob.name.removeprefix(self._prefix), int(blob.size), checksum, etag=str(blob.generation))

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        if not self._own_endpoint and not self._anonymous:
            with self._signing:
                self._credentials.before_request(Request(), "GET", self._endpoint, headers)
        return headers

    def _explain(self, status: int) -> WeightsError:
        if status == 404:
            return WeightsError(
                f"There is no bucket {self._bucket!r} on Google Cloud Storage ({self._endpoint}).",
                remedy="Check the name in the source.",
            )
        if status in {401, 403} and self._anonymous:
            return WeightsError(
                f"{self.title} is not public, and no Google credentials were found.",
                remedy="Run `gcloud auth application-default login`, or give the pod a service account.",
            )
        if status in {401, 403}:
            return WeightsError(
                f"The Google credentials that were found may not read {self.title} ({status}).",
                remedy="Grant them the role roles/storage.objectViewer on the bucket.",
            )
        if status == 429 or status >= 500:
            return UnreachableError(f"Google Cloud Storage is too busy to answer ({status}).")
        return WeightsError(f"Google Cloud Storage refused to read {self.title} ({status}).")
