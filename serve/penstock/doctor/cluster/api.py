"""The one place that talks to a Kubernetes cluster. It only reads, and of Secrets it asks for names alone. Thin.

Used by `gather`. Needs the package `kubernetes`, which is an extra of Penstock's.
"""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Self

from kubernetes import config
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from urllib3.exceptions import HTTPError

_PAGE = 500
_PATIENCE = (5.0, 20.0)
"""Seconds for connecting and for an answer."""
_NAMES_ALONE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class KubeconfigError(Exception):
    """The kubeconfig cannot be read, or has no such context. `contexts` are those that it has."""

    def __init__(self, reason: str, contexts: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.contexts = contexts


class RefusedError(Exception):
    """The cluster answered, and says no. `status` is HTTP's."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class UnreachableError(Exception):
    """The cluster does not answer."""


class Cluster:
    """A cluster by a context of the kubeconfig, which is the one that kubectl reads. Use it as a context manager.

    Raises:
        KubeconfigError: there is no such context, or the kubeconfig is wrong.
    """

    def __init__(self, context: str) -> None:
        try:
            found, _ = config.list_kube_config_contexts()
            self.contexts = tuple(str(seen["name"]) for seen in found)
            mine: dict[str, Any] = next((seen for seen in found if seen["name"] == context), {})
            self.namespace = str((mine.get("context") or {}).get("namespace") or "default")
        except Exception as error:
            raise KubeconfigError(_first_line(error)) from error
        if not mine:
            raise KubeconfigError(f"It has no context {context!r}.", self.contexts)
        try:
            self._client = config.new_client_from_config(context=context)
        except Exception as error:  # a plugin that gives credentials may fail in any way
            raise KubeconfigError(_first_line(error)) from error
        self._client.configuration.retries = False
        self.server = str(self._client.configuration.host)
        self._dynamic = DynamicClient(self._client, discoverer=lambda *_: None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, *, accept: str = "application/json", **query: Any) -> dict[str, Any]:
        """What stands at a path. Raises RefusedError and UnreachableError."""
        try:
            answer = self._dynamic.request(
                "get",
                path,
                query_params=[(name, value) for name, value in query.items() if value],
                header_params={"Accept": accept},
                serialize=False,
                _request_timeout=_PATIENCE,
            )
            found = json.loads(answer.data)
        except ApiException as error:
            raise RefusedError(int(error.status or 0), _reason(error)) from error
        except (HTTPError, OSError, ValueError) as error:
            raise UnreachableError(_first_line(error)) from error
        return found if isinstance(found, dict) else {}

    def list(self, path: str, *, labels: str = "", fields: str = "") -> list[dict[str, Any]]:
        """All objects of a list. Raises as `get` does."""
        found: list[dict[str, Any]] = []
        following = ""
        while True:
            page = self.get(
                path,
                labelSelector=labels,
                fieldSelector=fields,
                limit=_PAGE,
                **{"continue": following},
            )
            found += page.get("items") or []
            following = (page.get("metadata") or {}).get("continue") or ""
            if not following:
                return found

    def secret_table(self, namespace: str) -> dict[str, Any]:
        """The Secrets of a namespace as a table of their names: neither keys nor values leave the cluster."""
        path = f"/api/v1/namespaces/{namespace}/secrets"
        return self.get(path, accept=_NAMES_ALONE, includeObject="None")


def _reason(error: ApiException) -> str:
    try:
        said = json.loads(error.body or "{}")
    except (ValueError, TypeError):
        said = {}
    message = said.get("message") if isinstance(said, dict) else None
    return str(message or error.reason or f"status {error.status}").rstrip(".")


def _first_line(error: BaseException) -> str:
    # urllib3 wraps its reason, and tells where it was wrapped.
    reason = getattr(error, "reason", None) or error
    lines = str(reason).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rpartition(">: ")[2].rstrip(".")
