"""What the download asks of a place that weights come from; the hub, S3 and GCS each answer it in their way."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from penstock.engine.weights.errors import ChangedError
from penstock.engine.weights.files import RemoteFile, Snapshot
from penstock.errors import WeightsError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a file's bytes are read. Both may carry secrets, so it shows none of them."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Remote(Protocol):
    """A source of weights that is listed once and read file by file, with HTTP range requests."""

    @property
    def title(self) -> str:
        """What it is, for messages: `the hub https://huggingface.co`."""

    async def snapshot(self) -> Snapshot:
        """List it. Raises WeightsError, and UnreachableError where nobody answered."""

    async def address(self, file: RemoteFile) -> Address:
        """Where to read a file of the snapshot now; called again for every try, as an address may expire."""

    def refusal(self, file: RemoteFile, status: int, headers: Mapping[str, str], /) -> WeightsError | ChangedError:
        """What a status of 4xx for a file means."""


def digest_of(files: Iterable[RemoteFile]) -> str:
    """A name for the state of an object store that has none of its own."""
    lines = sorted(f"{file.path}\0{file.fingerprint}" for file in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:40]


async def in_thread(call: Callable[[], T]) -> T:
    """Run a blocking call in a thread of its own, which cancellation leaves behind to end by its own time limit.

    `asyncio.to_thread` would make the end of the loop wait for it.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if not future.done():
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]  # None only where T allows it

    def run() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  # handed to the waiting task, whatever it is
            failure = error
        if not loop.is_closed():
            try:
                loop.call_soon_threadsafe(settle, result, failure)
            except RuntimeError:
                return  # the loop closed in between: nobody waits any more

    threading.Thread(target=run, name="weights-remote", daemon=True).start()
    return await future
