"""`weights`: where weights are kept on a node, and how the places they come from are reached."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from penstock.config.addresses import checked_endpoint
from penstock.config.base import Section
from penstock.config.units import Size

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _checked_path(path: str) -> str:
    # The document is read in one folder and obeyed by processes in others.
    if not path.startswith(("/", "~/")) or "\0" in path:
        raise ValueError(f"{path!r} is no absolute path; begin it with / or ~/")
    return path


AbsolutePath = Annotated[str, AfterValidator(_checked_path), WithJsonSchema({"type": "string", "pattern": "^(/|~/)"})]
"""A path that begins with / or ~/."""

Endpoint = Annotated[str, AfterValidator(checked_endpoint), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
"""An address that begins with http:// or https://, without a slash at its end."""


class SecretFrom(Section):
    """Where a secret is read from. The document never holds one."""

    env: str | None = None
    """Name of an environment variable."""

    file: AbsolutePath | None = None
    """Path of a file that holds nothing else."""

    @field_validator("env")
    @classmethod
    def _env_is_a_name(cls, name: str | None) -> str | None:
        if name is not None and _VARIABLE_NAME.fullmatch(name) is None:
            # Not shown: it may be the secret itself.
            raise ValueError("this is no name of an environment variable; use letters, digits and _")
        return name

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("exactly one of env and file is needed: where the secret is read from")
        return self


class Hub(Section):
    """The Hugging Face hub, or a mirror of it."""

    endpoint: Endpoint = "https://huggingface.co"
    """Address of the hub."""

    token: SecretFrom | None = None
    """Where the token for gated repositories is read from. Default: the variable HF_TOKEN, where it is set."""


class S3(Section):
    """S3 or a service with its protocol. Credentials come from boto3's usual places."""

    endpoint: Endpoint | None = None
    """Address of another service with the protocol, such as MinIO."""

    region: str | None = None
    """Region; default: boto3's usual places."""


class Gcs(Section):
    """Google Cloud Storage. Credentials come from Google's usual places."""

    endpoint: Endpoint | None = None
    """Address of another service with the protocol, for tests."""


class Weights(Section):
    """The cache of weights and the sources."""

    cache: AbsolutePath = "~/.cache/penstock/weights"
    """Folder of downloaded weights, one per node; replicas of a node share it. Beside them, in `.compiled`, engines
    keep what they compile, so that the next start is faster."""

    limit: Size | None = None
    """The weights in the cache stay under this size: those that were not used for longest go first. What engines
    compile does not count. Default: no limit."""

    claims: AbsolutePath = "/mnt/claims"
    """Folder under which persistent volume claims are mounted: `pvc://models/qwen` is `<claims>/models/qwen`."""

    hub: Hub = Field(default_factory=Hub)
    """The hub."""

    s3: S3 = Field(default_factory=S3)
    """S3."""

    gcs: Gcs = Field(default_factory=Gcs)
    """Google Cloud Storage."""
