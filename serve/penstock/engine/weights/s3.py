"""S3 and services with its protocol: boto3 lists and signs, the common download reads the signed addresses.

Imported only where a source asks for it: boto3 is an extra.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from penstock.config import Source
from penstock.config.weights import S3 as S3Settings  # noqa: N811  # a section's name, not a constant
from penstock.engine.weights.errors import ChangedError, UnreachableError
from penstock.engine.weights.files import Patience, RemoteFile, Snapshot
from penstock.engine.weights.remote import Address, digest_of, in_thread
from penstock.errors import WeightsError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ADDRESS_LIFETIME = 3600
"""Seconds for which a signed address can be opened. A new one is signed for every try."""

_UNKNOWN_KEY = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "AuthFailure"}
_DENIED = {"AccessDenied", "403", "AllAccessDisabled", "AccountProblem"}
_BUSY = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "503", "500"}


class S3Remote:
    """The objects below a prefix of a bucket."""

    def __init__(self, source: Source, settings: S3Settings, patience: Patience) -> None:
        self._bucket = source.location
        self._prefix = f"{source.path}/" if source.path else ""
        self._settings = settings
        self._patience = patience
        self._client: S3Client | None = None
        self._anonymous = False

    @property
    def title(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}"

    async def snapshot(self) -> Snapshot:
        files = await in_thread(self._list)
        return Snapshot(digest_of(files), tuple(files))

    async def address(self, file: RemoteFile) -> Address:
        url = await in_thread(lambda: self._sign(file))
        return Address(url, {"If-Match": file.etag} if file.etag else {})

    def refusal(self, file: RemoteFile, status: int, _headers: Mapping[str, str], /) -> WeightsError | ChangedError:
        if status in {404, 412}:
            return ChangedError(f"{self.title}{file.path} is no longer what was listed ({status})")
        return self._explain("AccessDenied" if status == 403 else str(status), needed="s3:GetObject")

    def _list(self) -> list[RemoteFile]:
        try:
            pages = (
                self._connected().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            )
            return [
                RemoteFile(entry["Key"].removeprefix(self._prefix), entry["Size"], etag=entry["ETag"])
                for page in pages
                for entry in page.get("Contents", [])
                if not entry["Key"].endswith("/")
            ]
        except ClientError as error:
            raise self._explain(error.response.get("Error", {}).get("Code", "unknown"), "s3:ListBucket") from None
        except (NoCredentialsError, PartialCredentialsError):
            raise self._explain("AccessDenied", "s3:ListBucket") from None
        except (HTTPClientError, BotoConnectionError) as error:
            raise UnreachableError(
                f"{self._place()} does not answer ({type(error).__name__}).",
                remedy="Check the network, the proxy and weights.s3.endpoint.",
            ) from None
        except BotoCoreError as error:
            raise WeightsError(
                f"boto3 cannot read {self.title}: {error}",
                remedy="Check weights.s3, and boto3's own settings in its variables and files.",
            ) from None

    def _connected(self) -> S3Client:
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _connect(self) -> S3Client:
        session = boto3.Session()
        self._anonymous = session.get_credentials() is None
        common = Config(
            # Without it boto3 signs addresses by a version that newer regions and most other services refuse.
            signature_version=UNSIGNED if self._anonymous else "s3v4",
            connect_timeout=self._patience.connect,
            read_timeout=self._patience.silence,
            retries={"total_max_attempts": self._patience.attempts, "mode": "standard"},
            # Other services than Amazon's rarely have a name per bucket.
            s3={"addressing_style": "path" if self._settings.endpoint else "auto"},
        )
        region = self._settings.region or session.region_name or "us-east-1"
        return session.client("s3", endpoint_url=self._settings.endpoint, region_name=region, config=common)

    def _sign(self, file: RemoteFile) -> str:
        return self._connected().generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": self._prefix + file.path}, ExpiresIn=ADDRESS_LIFETIME
        )

    def _place(self) -> str:
        return f"S3 ({self._settings.endpoint or 'Amazon'})"

    def _explain(self, code: str, needed: str) -> WeightsError:
        if code == "NoSuchBucket":
            return WeightsError(
                f"There is no bucket {self._bucket!r} on {self._place()}.",
                remedy="Check the name in the source, and weights.s3.endpoint and weights.s3.region.",
            )
        if code in _UNKNOWN_KEY:
            return WeightsError(
                f"{self._place()} does not accept the credentials that boto3 found ({code}).",
                remedy="Renew them, or check which ones boto3 finds: `aws sts get-caller-identity`.",
            )
        if code in _DENIED and self._anonymous:
            return WeightsError(
                f"{self.title} is not public, and boto3 found no credentials.",
                remedy="Give it AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role for the pod.",
            )
        if code in _DENIED:
            return WeightsError(
                f"The credentials that boto3 found may not read {self.title} ({code}).",
                remedy=f"Grant them {needed} on the bucket.",
            )
        if code in _BUSY:
            return UnreachableError(f"{self._place()} is too busy to answer ({code}).", remedy="Start again later.")
        return WeightsError(f"{self._place()} refused to read {self.title} ({code}).")
