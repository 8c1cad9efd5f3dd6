"""A stand-in for the Hugging Face hub on 127.0.0.1: repositories with branches and commits, tokens, and faults.

    with hub_server() as hub:
        hub.push("acme/tiny", {"config.json": b"{}", "model.safetensors": b"..."})
        Weights(hub={"endpoint": hub.address})

Speaks what clients of the hub use: `/api/models/<repo>/revision/<revision>?blobs=true`, `/<repo>/resolve/<commit>/
<file>`, with ranges, and `/api/models?search=<words>`. Large files are redirected to a second server, as the hub does.
A test holds it to the official client library.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from support.http_server import Exchange, Site, serving

LFS_SUFFIXES = (".safetensors", ".bin", ".gguf", ".pt", ".onnx")
SIGNATURE = "a-signature-that-must-not-be-logged"


@dataclass
class Repository:
    """Commits by name, each a map from path to content; branches point at them."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    private: bool = False
    gated: bool = False
    downloads: int = 0
    parameters: dict[str, int] = field(default_factory=dict)
    """How many of each kind of number; empty where the hub does not know."""


class Cdn(Site):
    """Where large files are redirected to. Refuses requests without its signature, and notes their headers."""

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self._hub = hub

    def answer(self, exchange: Exchange) -> None:
        parts = urlsplit(exchange.path)
        if parse_qs(parts.query).get("Signature") != [SIGNATURE + "/+="]:
            exchange.reply(403, b"bad signature")
            return
        repo, commit, path = unquote(parts.path).strip("/").split("|")
        content = self._hub.repositories[repo].commits[commit][path]
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        exchange.send_file(content, headers={"ETag": etag}, fault=self._hub.fault_for(path), name=path)


class Hub(Site):
    """The hub. `tokens` are those it knows; with `listed_sizes` its listing lies about a file."""

    def __init__(self) -> None:
        super().__init__()
        self.repositories: dict[str, Repository] = {}
        self.tokens: set[str] = set()
        self.listed_sizes: dict[str, int] = {}
        self.cdn = Cdn(self)
        self.cdn.sent = self.sent  # bytes are counted together, wherever they come from

    def push(
        self, repo: str, files: Mapping[str, bytes], *, branch: str = "main", private: bool = False, gated: bool = False
    ) -> str:
        """A new commit that holds exactly these files; the branch moves to it. Returns its name."""
        repository = self.repositories.setdefault(repo, Repository())
        repository.private, repository.gated = private, gated
        described = repr((repo, branch, len(repository.commits), sorted(files)))
        commit = hashlib.sha1(described.encode()).hexdigest()
        repository.commits[commit] = dict(files)
        repository.branches[branch] = commit
        return commit

    @property
    def listings(self) -> int:
        """Times that a repository was listed."""
        return len(self.requests_for("/api/models/"))

    def answer(self, exchange: Exchange) -> None:
        url = urlsplit(exchange.path)
        if url.path == "/api/models":
            self._search(exchange, parse_qs(url.query))
            return
        if url.path.startswith("/api/models/"):
            if (fault := self.fault_for("api")) is not None and fault.status is not None:
                exchange.reply(fault.status, b"<html>no</html>", fault.headers)
                return
            repo, _, revision = url.path.removeprefix("/api/models/").partition("/revision/")
            if (found := self._find(exchange, repo, unquote(revision) or "main", for_file=False)) is not None:
                self._list(exchange, repo, *found, sizes="blobs" in url.query)
            return
        repo, _, rest = unquote(url.path).strip("/").partition("/resolve/")
        revision, _, path = rest.partition("/")
        if (found := self._find(exchange, repo, revision, for_file=True)) is not None:
            self._resolve(exchange, repo, *found, path)

    def _search(self, exchange: Exchange, asked: dict[str, list[str]]) -> None:
        if (fault := self.fault_for("api")) is not None and fault.status is not None:
            exchange.reply(fault.status, b"<html>no</html>", fault.headers)
            return
        words = asked["search"][0].lower().split()
        found = [
            (name, repository)
            for name, repository in self.repositories.items()
            if not repository.private and all(word in name.lower() for word in words)
        ]
        found.sort(key=lambda one: -one[1].downloads)
        body = [self._told(*one) for one in found[: int(asked["limit"][0])]]
        exchange.reply(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _told(self, name: str, repository: Repository) -> dict[str, object]:
        told: dict[str, object] = {
            "_id": "1",
            "id": name,
            "downloads": repository.downloads,
            "likes": 3,
            "gated": "manual" if repository.gated else False,
            "pipeline_tag": "text-generation",
        }
        if repository.parameters:
            total = sum(repository.parameters.values())
            told["safetensors"] = {"parameters": repository.parameters, "total": total}
        return told

    def _find(
        self, exchange: Exchange, repo: str, revision: str, *, for_file: bool
    ) -> tuple[str, dict[str, bytes]] | None:
        token = exchange.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.tokens:
            exchange.reply(401, b"", {"X-Error-Message": "Invalid credentials in Authorization header"})
            return None
        repository = self.repositories.get(repo)
        if repository is None or (repository.private and not token):
            # The hub does not tell strangers which private repositories there are.
            exchange.reply(404 if token else 401, b"", {"X-Error-Code": "RepoNotFound"})
            return None
        if repository.gated and for_file and not token:
            exchange.reply(401, b"", {"X-Error-Code": "GatedRepo"})
            return None
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            exchange.reply(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return None
        return commit, repository.commits[commit]

    def _list(self, exchange: Exchange, repo: str, commit: str, files: dict[str, bytes], *, sizes: bool) -> None:
        siblings = [self._sibling(path, content) if sizes else {"rfilename": path} for path, content in files.items()]
        body = {"_id": "1", "id": repo, "modelId": repo, "sha": commit, "private": False, "siblings": siblings}
        exchange.reply(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _sibling(self, path: str, content: bytes) -> dict[str, object]:
        size = self.listed_sizes.get(path, len(content))
        sibling: dict[str, object] = {"rfilename": path, "size": size, "blobId": _git_id(content)}
        if path.endswith(LFS_SUFFIXES):
            sibling["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": size, "pointerSize": 134}
        return sibling

    def _resolve(self, exchange: Exchange, repo: str, commit: str, files: dict[str, bytes], path: str) -> None:
        if path not in files:
            exchange.reply(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        headers = {"X-Repo-Commit": commit}
        if not path.endswith(LFS_SUFFIXES):
            headers["ETag"] = f'"{_git_id(files[path])}"'
            fault = self.fault_for(path) if exchange.command == "GET" else None
            exchange.send_file(files[path], headers=headers, fault=fault, name=path)
            return
        digest = hashlib.sha256(files[path]).hexdigest()
        headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(files[path]))}
        # A signature with characters that must not be quoted twice.
        place = f"{self.cdn.address}/{repo.replace('/', '%2F')}%7C{commit}%7C{path}"
        headers["Location"] = f"{place}?Signature={SIGNATURE}%2F%2B%3D"
        exchange.reply(302, headers=headers)


def _git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextlib.contextmanager
def hub_server() -> Iterator[Hub]:
    """A running, empty hub."""
    hub = Hub()
    with serving(hub.cdn), serving(hub):
        try:
            yield hub
        finally:
            hub.close()


def tiny_model(*, megabytes: float = 0.01, shards: int = 1, seed: int = 0) -> dict[str, bytes]:
    """Files that look like a model: its weights are bytes of a fixed pattern, no two shards equal."""
    files = {
        "config.json": b'{"architectures": ["LlamaForCausalLM"]}',
        "tokenizer.json": b'{"version": "1.0"}',
        "README.md": b"# tiny",
    }
    size = int(megabytes * 2**20 / shards)
    names = ["model.safetensors"] if shards == 1 else [f"model-{n}-of-{shards}.safetensors" for n in range(shards)]
    for number, name in enumerate(names):
        block = hashlib.sha512(f"{seed} {number}".encode()).digest()
        files[name] = (block * (size // len(block) + 1))[:size]
    return files
