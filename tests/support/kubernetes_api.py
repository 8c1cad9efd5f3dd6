"""A server that speaks as much of Kubernetes' API as the doctor asks, on loopback, and a kubeconfig of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from support.http_server import Exchange, Site

TOKEN = "who-asks"
SPACE = "/api/v1/namespaces/penstock"
RAY = "/apis/ray.io/v1/namespaces/penstock"


@dataclass
class Api(Site):
    """Answers lists by path. `objects`: single things by path. `refused`: paths that may not be read."""

    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    secrets: list[str] = field(default_factory=list)
    page: int = 2
    """Objects of a list that are sent at once, whatever is asked."""

    def __post_init__(self) -> None:
        super().__init__()
        self.methods: set[str] = set()

    def answer(self, exchange: Exchange) -> None:
        self.methods.add(exchange.command)
        path, query = urlsplit(exchange.path).path, parse_qs(urlsplit(exchange.path).query)
        if exchange.headers.get("authorization") != f"Bearer {TOKEN}":
            self._say(exchange, 401, {"message": "Unauthorized"})
        elif path in self.refused:
            self._say(exchange, 403, {"message": f'User "eve" cannot list {path}'})
        elif path == f"{SPACE}/secrets":
            # Whoever asks in any other way would get what is in them.
            names_alone = "as=Table" in exchange.headers["accept"] and query.get("includeObject") == ["None"]
            assert names_alone, "the content of Secrets was asked for"
            self._say(exchange, 200, {"kind": "Table", "rows": [{"cells": [n, "Opaque", 1]} for n in self.secrets]})
        elif path in self.objects:
            self._say(exchange, 200, self.objects[path])
        elif path in self.lists:
            self._say(exchange, 200, self._part(_selected(self.lists[path], query), query))
        else:
            self._say(exchange, 404, {"message": "the server could not find the requested resource"})

    def _part(self, found: list[dict[str, Any]], query: dict[str, list[str]]) -> dict[str, Any]:
        start = int(query.get("continue", ["0"])[0])
        after = start + self.page
        following = {"continue": str(after)} if after < len(found) else {}
        return {"kind": "List", "metadata": following, "items": found[start:after]}

    @staticmethod
    def _say(exchange: Exchange, status: int, body: dict[str, Any]) -> None:
        exchange.reply(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def _selected(found: Iterable[dict[str, Any]], query: dict[str, list[str]]) -> list[dict[str, Any]]:
    wanted = dict(term.split("=") for term in query.get("labelSelector", [""])[0].split(",") if term)
    return [one for one in found if wanted.items() <= one["metadata"].get("labels", {}).items()]


def kubeconfig(path: Path, server: str, *, token: str = TOKEN, namespace: str = "penstock") -> Path:
    """A kubeconfig with the one context `here`."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": namespace}}],
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path
