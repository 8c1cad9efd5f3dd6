"""A Ray that Penstock runs on: start one on this machine, or connect to one; put a configuration on it; look at it.

Thin: what is put on it is decided by `serve_config`, what is seen is read by `status`. Used by the command line.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Mapping
from typing import Any, Self

import ray
from ray import serve
from ray.exceptions import AuthenticationError, RayTaskError
from ray.serve._private.client import ServeControllerClient
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException
from ray.serve.schema import ServeDeploySchema

from penstock.assembly.serve_config import GATEWAY_APPLICATION
from penstock.assembly.status import Status, combine
from penstock.board.kv import KvBoard, KvDecisions
from penstock.errors import MachineError, NotRunningError

NAMESPACE = "serve"
_CONNECT_LIMIT = 5.0
LOOKS = 10
"""Times that Serve is asked for its applications before its failure is taken for one."""
_PAUSE = 0.3
START_ATTEMPTS = 3
"""Times that a busy machine may be too slow for Ray."""


class Cluster:
    """One connection to a Ray; at most one per process, because Ray has one per process."""

    def __init__(self, address: str) -> None:
        self.address = address
        """Where Ray's control store listens: what `connect` takes."""

    @classmethod
    def start(cls) -> Self:
        """Start Ray on this machine, for this process: it ends with it.

        Raises:
            MachineError: Ray does not start.
        """
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                context = ray.init(
                    address="local",
                    namespace=NAMESPACE,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
                break
            except Exception as error:
                # Ray raises many kinds, the bare class for a node that does not come up within its fixed 30 seconds.
                ray.shutdown()
                if attempt == START_ATTEMPTS or "timed out during startup" not in str(error):
                    raise MachineError(
                        f"Ray did not start: {error}",
                        remedy="penstock doctor looks for the cause; Ray's own logs are in /tmp/ray.",
                    ) from error
        return cls(context.address_info["gcs_address"])

    @classmethod
    def connect(cls, address: str) -> Self:
        """Connect to a running Ray.

        Raises:
            NotRunningError: there is none at the address.
        """
        _refuse_if_nobody_listens(address)
        try:
            ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
        except AuthenticationError as error:
            raise NotRunningError(
                f"Ray at {address} refuses this user's token.",
                remedy="Name the cluster's token with RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH.",
            ) from error
        except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
            raise NotRunningError(
                f"There is no running Ray at {address}.", remedy="Start Penstock with: penstock up"
            ) from error
        return cls(address)

    def apply(self, config: Mapping[str, Any]) -> None:
        """Make the applications those of the configuration: new ones start, changed ones change, others go.

        Returns at once; `status` tells how far it is.
        """
        schema = ServeDeploySchema.model_validate(dict(config))
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        serve.start(proxy_location=schema.proxy_location, logging_config=schema.logging_config)
        _get_global_client().deploy_apps(schema)

    def status(self, url: str) -> Status:
        """What is running. Raises NotRunningError when nothing was ever put on this Ray."""
        try:
            client = _get_global_client()
        except RayServeException as error:
            raise NotRunningError("Penstock is not on this Ray.", remedy="penstock apply puts it there.") from error
        details = _details(client)
        return combine(details.get("applications") or {}, KvBoard().reports(), KvDecisions().decisions(), url=url)

    def stop_serving(self) -> None:
        """Remove everything that `apply` put there: first the gateway, which finishes its requests, then the models.

        Blocks while requests run, as long as Serve's grace periods.
        """
        names = sorted(serve.status().applications, key=lambda name: name != GATEWAY_APPLICATION)
        for name in names:
            serve.delete(name)

    def close(self) -> None:
        """Leave Ray; one that this process started ends."""
        ray.shutdown()


def _details(client: ServeControllerClient) -> dict[str, Any]:
    """Serve's account of its applications. Serve 2.60 trips over one that it is half done with, for a moment."""
    for _ in range(LOOKS - 1):
        with contextlib.suppress(RayTaskError):
            return dict(client.get_serve_details())
        time.sleep(_PAUSE)
    return dict(client.get_serve_details())


def _refuse_if_nobody_listens(address: str) -> None:
    """Ray itself goes on trying for minutes. Names that Ray resolves by itself (`auto`) are left to it."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_LIMIT).close()
    except OSError as error:
        raise NotRunningError(
            f"There is no running Ray at {address}: {error.strerror or error}.",
            remedy="Start Penstock with: penstock up",
        ) from error
