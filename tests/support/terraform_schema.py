"""What a Terraform provider takes, read from its language bindings: resources, data sources, blocks and attributes.

A provider tells its schema itself, but it is a binary that not every machine can have. The bindings for TypeScript
carry the same: for each resource an interface whose members are its arguments, each with Terraform's own name in its
comment, a question mark where it may be left out, and `block` at the end of the comment where it is one. Fetched by npm
into `build/terraform-schemas`, where the declarations stay. Used by `terraform_check`.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

CACHE = Path(__file__).parents[2] / "build" / "terraform-schemas"
PACKAGES = {
    "google": (
        "@cdktf/provider-google",
        "16.12.1",
        "c13e11596542ffb7412d5f4caa9376525fbef88d18cdedac03c9b3c392a1fc80",
    ),
    "aws": (
        "@cdktf/provider-aws",
        "19.65.1",
        "b183ae1d4287372b78ae03a822f97f0bbba9ac4e66def4f594af93cf305c826d",
    ),
}
"""By provider: the package, its version (of the providers google 6.50.0 and aws 5.99.1), and its archive's SHA-256."""

_INTERFACE = re.compile(r"^export interface (\w+)[^{]*\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_MEMBER = re.compile(
    r"/\*\*(?P<text>(?:(?!\*/).)*?)Docs at [^\n]*?#(?P<name>\w+) (?:(?!\*/).)*\*/\s*"
    r"readonly \w+(?P<optional>\?)?: (?P<type>\{[^}]*\}[^;]*|[^;]+);",
    re.DOTALL,
)
_GETTER = re.compile(r"^    get (\w+)\(\): ", re.MULTILINE)


class MissingBindingsError(Exception):
    """The bindings cannot be had here; the text says why."""


@dataclass(frozen=True)
class Argument:
    """One argument of a body."""

    required: bool
    block: bool
    many: bool
    """Whether it holds several; a block of which there are several may stand so often."""
    inside: str | None = None
    """The name of a block's body."""


@dataclass(frozen=True)
class Schema:
    """What one resource or data source takes and gives."""

    bodies: dict[str, dict[str, Argument]]
    root: str
    attributes: frozenset[str] = field(default_factory=frozenset)
    """Names that can be referred to, without underscores and in small letters."""

    def knows(self, attribute: str) -> bool:
        """Whether `attribute` can be referred to."""
        return _plain(attribute) in self.attributes or attribute in self.bodies[self.root]


class Provider:
    """The schemas of a provider, each read when it is asked for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._read: dict[str, Schema | None] = {}

    def schema(self, kind: str, *, data: bool = False) -> Schema | None:
        """What `google_storage_bucket` takes, as a resource or as a data source; None where there is no such thing.

        Raises MissingBindingsError where the bindings cannot be had.
        """
        plain = kind.removeprefix(f"{self.name}_").replace("_", "-")
        folder = f"data-{self.name}-{plain}" if data else plain
        if folder not in self._read:
            files = sorted((self._declarations / folder).rglob("*.d.ts"))
            self._read[folder] = _parsed([file.read_text(encoding="utf-8") for file in files])
        return self._read[folder]

    @cached_property
    def _declarations(self) -> Path:
        package, version, digest = PACKAGES[self.name]
        folder = CACHE / f"{self.name}-{version}"
        if not folder.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=CACHE) as made:
                _fetch(f"{package}@{version}", digest, Path(made))
                with contextlib.suppress(FileExistsError, OSError):  # somebody else was faster
                    (Path(made) / "package" / "lib").rename(folder)
        return folder


def _fetch(spec: str, digest: str, folder: Path) -> None:
    """Bring a package's declarations into a folder; the rest of it, ten times as much, is left in the archive."""
    if shutil.which("npm") is None:
        raise MissingBindingsError("there is no npm on this machine, which the bindings are fetched with")
    command = ["npm", "pack", spec, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    if done.returncode != 0:
        raise MissingBindingsError(f"npm could not fetch {spec}: {done.stderr.strip()[:300]}")
    (archive,) = folder.glob("*.tgz")
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == digest, f"{spec} is not what it was"
    unpack = ["tar", "-xzf", str(archive), "-C", str(folder), "--wildcards", "package/lib/*.d.ts"]
    subprocess.run(unpack, check=True, timeout=240)


def _parsed(texts: list[str]) -> Schema | None:
    """The schema in the declarations of one resource."""
    if not texts:
        return None
    interfaces = {name: body for text in texts for name, body in _INTERFACE.findall(text)}
    root = next(name for text in texts for name, _ in _INTERFACE.findall(text) if _extends(text, name))
    bodies = {name: _arguments(body, interfaces) for name, body in interfaces.items()}
    class_of_root = next(text for text in texts if f"interface {root} " in text)
    getters = _GETTER.findall(class_of_root[class_of_root.rindex("export declare class") :])
    return Schema(bodies, root, frozenset(_plain(name) for name in getters))


def _extends(text: str, name: str) -> bool:
    return f"interface {name} extends cdktf.TerraformMetaArguments" in text


def _arguments(body: str, interfaces: dict[str, str]) -> dict[str, Argument]:
    found = {}
    for member in _MEMBER.finditer(body):
        kind = member["type"].removesuffix(" | cdktf.IResolvable").strip()
        inside = kind.removesuffix("[]").rpartition(".")[2]
        is_block = inside in interfaces and bool(re.search(rf"\b{member['name']} block\s", member["text"]))
        found[member["name"]] = Argument(
            required=member["optional"] is None,
            block=is_block,
            many=kind.endswith("[]"),
            inside=inside if is_block else None,
        )
    return found


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
