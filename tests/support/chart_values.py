"""Values for the chart that several tests start from."""

from __future__ import annotations

import copy
from typing import Any

from support.charts import example

ONE_MODEL: dict[str, Any] = {"models": {"demo": {"engine": "simulator"}}}
"""The least that serves."""

_REST: dict[str, Any] = {
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["llm.example.com"]},
    "extraObjects": {
        "note": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-note"}, "data": {}}
    },
}


def everything() -> dict[str, Any]:
    """Every switch on: the example for production, what it leaves out, and a model on a processor."""
    values = copy.deepcopy(example("production")) | copy.deepcopy(_REST)
    values["models"]["pretend"] = {"engine": "simulator"}
    del values["rayToken"]
    return values


def with_changes(values: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy with a few values set: `gateway__replicas=3` sets gateway.replicas."""
    changed = copy.deepcopy(values)
    for path, value in changes.items():
        *folders, key = path.split("__")
        place = changed
        for folder in folders:
            place = place.setdefault(folder, {})
        place[key] = value
    return changed
