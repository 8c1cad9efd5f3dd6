"""Looks for models on the hub by words. Called by `penstock search`."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlencode, urlsplit

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from yarl import URL

from penstock.config.weights import Hub
from penstock.engine.weights.errors import UnreachableError
from penstock.engine.weights.files import Patience
from penstock.engine.weights.hub import Token, read_token
from penstock.engine.weights.retry import (
    NETWORK_ERRORS,
    TransientError,
    is_busy,
    network_error,
    patiently,
    retry_after,
)
from penstock.engine.weights.transfer import new_session
from penstock.errors import WeightsError

_FIELDS: Final = ("downloads", "gated", "likes", "pipeline_tag", "safetensors")
_BITS: Final = {"F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16}
_LEAST_BITS: Final = {"F4": 4, "I4": 4, "U4": 4}
_BYTE: Final = 8
"""Bits of every other kind of number that the hub tells: F8_E4M3, I8, U8, BOOL."""


class _Safetensors(BaseModel):
    model_config = ConfigDict(extra="ignore")

    parameters: dict[str, int] = Field(default_factory=dict)


class FoundModel(BaseModel):
    """A repository of the hub."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    downloads: int = 0
    """In the last month."""
    likes: int = 0
    gated: bool | str = False
    """Whether somebody must allow it: `auto` or `manual`."""
    pipeline_tag: str | None = None
    """What it is for: `text-generation`."""
    safetensors: _Safetensors | None = None

    @property
    def source(self) -> str:
        """As documents name it."""
        return f"hf://{self.id}"

    @property
    def parameters(self) -> int | None:
        """How many; None where the hub does not know."""
        counts = self.safetensors.parameters if self.safetensors is not None else {}
        return sum(counts.values()) or None

    @property
    def tensors(self) -> int | None:
        """Bytes of its weights; None where the hub does not know."""
        counts = self.safetensors.parameters if self.safetensors is not None else {}
        bits = _BITS | _LEAST_BITS
        return sum(number * bits.get(kind.upper(), _BYTE) // 8 for kind, number in counts.items()) or None


_FOUND: Final = TypeAdapter(list[FoundModel])


def search(text: str, settings: Hub, *, limit: int = 20, patience: Patience | None = None) -> list[FoundModel]:
    """Repositories whose names fit all words, those that are fetched most first.

    Args:
        limit: how many at most.

    Raises WeightsError: the hub refuses, or answers with something else; UnreachableError where nobody answers.
    """
    return asyncio.run(_search(text, settings, limit, patience or Patience(attempts=2)))


async def _search(text: str, settings: Hub, limit: int, patience: Patience) -> list[FoundModel]:
    endpoint = settings.endpoint.rstrip("/")
    token = read_token(settings)
    asked = [("search", text), ("sort", "downloads"), ("direction", "-1"), ("limit", str(limit))]
    url = f"{endpoint}/api/models?{urlencode([*asked, *(('expand[]', name) for name in _FIELDS)])}"
    title = f"the hub {endpoint}"
    async with new_session(patience) as http:
        try:
            body = await patiently(lambda: _get(http, url, token), what=title, patience=patience)
        except UnreachableError as error:
            raise UnreachableError(
                error.message,
                remedy="Check the network, the proxy and weights.hub.endpoint. `penstock list` shows what is on this"
                " machine, and `penstock search --offline` looks there.",
            ) from None
    try:
        return _FOUND.validate_json(body)
    except ValidationError:
        raise WeightsError(
            f"{title[:1].upper()}{title[1:]} answered with something that is no list of models.",
            remedy="Check that weights.hub.endpoint is a hub, and not a login page or a proxy.",
        ) from None


async def _get(http: aiohttp.ClientSession, url: str, token: Token) -> bytes:
    host = urlsplit(url).hostname or url
    headers = {"Authorization": f"Bearer {token.value}"} if token.value else {}
    try:
        async with http.get(URL(url, encoded=True), headers=headers) as response:
            if is_busy(response.status):
                raise TransientError(f"{host} answered {response.status}", after=retry_after(response.headers))
            if response.status == 401 and token.value:
                raise WeightsError(
                    f"The hub {host} does not accept the token of {token.origin}.",
                    remedy=f"Make a new token with read access and put it into {token.origin}.",
                )
            if response.status != 200:
                raise WeightsError(
                    f"The hub {host} does not search: it answered {response.status}.",
                    remedy="Check that weights.hub.endpoint is a hub; a mirror may not search.",
                )
            return await response.read()
    except NETWORK_ERRORS as error:
        raise network_error(error, host) from None
