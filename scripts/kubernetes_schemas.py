#!/usr/bin/env python3
"""Makes JSON schemas of Kubernetes' OpenAPI description and of CRDs, one file a kind. Called by scripts/kubeconform:
kubernetes_schemas.py FOLDER swagger.json crd.yaml...

The schemas are strict, as the API server is with `fieldValidation: Strict`: an object whose fields are known has no
other.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

# Both are written as numbers too, which the OpenAPI description does not say.
LOOSE = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
}
METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
REFERENCE = "#/definitions/"


def main(folder: Path, swagger: Path, crds: list[Path]) -> None:
    """Write all of them."""
    definitions = strict(json.loads(swagger.read_text(encoding="utf-8"))["definitions"]) | LOOSE
    for group, kind, version, schema in (*_built_in(definitions), *_custom(crds)):
        # kubeconform calls the group without a name by its version.
        path = folder / (group or version) / f"{kind.lower()}_{version}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        used = {name: definitions[name] for name in sorted(_reachable(schema, definitions))}
        path.write_text(json.dumps({**schema, "definitions": used}), encoding="utf-8")


def strict(schema: Any) -> Any:
    """The schema with no room for unknown fields, save where it says that there is."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    open_ended = made.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in made
    if isinstance(made.get("properties"), dict) and made.get("type") == "object" and not open_ended:
        made["additionalProperties"] = False
    return made


def _built_in(definitions: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    for name, schema in definitions.items():
        kinds = schema.get("x-kubernetes-group-version-kind", [])
        # What is of many groups, such as DeleteOptions, is no object that anybody writes.
        if len(kinds) == 1 and "metadata" in schema.get("properties", {}):
            (of,) = kinds
            yield of["group"], of["kind"], of["version"], {"$ref": REFERENCE + name}


def _custom(crds: list[Path]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    for path in crds:
        spec = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"$ref": REFERENCE + METADATA}
            yield spec["group"], spec["names"]["kind"], version["name"], schema


def _reachable(schema: Any, definitions: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    left = [schema]
    while left:
        here = left.pop()
        if isinstance(here, dict):
            name = here.get("$ref")
            if isinstance(name, str) and (short := name.removeprefix(REFERENCE)) not in found:
                found.add(short)
                left.append(definitions[short])
            left.extend(here.values())
        elif isinstance(here, list):
            left.extend(here)
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
