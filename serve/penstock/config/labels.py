"""Forms of names in Kubernetes. Names in the document become labels and resources of pods, so they are checked here,
where they can be explained, and not by a cluster later."""

from __future__ import annotations

import re

LABEL_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_LABEL_NAME = LABEL_VALUE
_PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_QUANTITY = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][0-9]{1,2}|[munkMGTPE]|[KMGTPE]i)?")


def label_value_problem(text: str) -> str | None:
    """Why a text is no value of a label; None where it is one."""
    if LABEL_VALUE.fullmatch(text):
        return None
    return (
        "this is no name for a label of Kubernetes; use at most 63 letters, digits and . _ -, with a letter or a digit"
        " at both ends"
    )


def label_key_problem(text: str) -> str | None:
    """Why a text is no key of a label or name of a resource, such as `nvidia.com/gpu`; None where it is one."""
    prefix, slash, name = text.rpartition("/")
    if _LABEL_NAME.fullmatch(name) and (not slash or (_PREFIX.fullmatch(prefix) and len(prefix) <= 253)):
        return None
    return f"{text!r} is no name that Kubernetes takes; write name or domain/name, such as nvidia.com/gpu"


def quantity_problem(text: str) -> str | None:
    """Why a text is no quantity of Kubernetes, such as `500m` or `24Gi`; None where it is one."""
    if _QUANTITY.fullmatch(text):
        return None
    return f"{text!r} is no quantity; write a number with or without a unit, such as 4, 500m or 24Gi"
