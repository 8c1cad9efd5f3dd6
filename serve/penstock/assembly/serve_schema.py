"""Ray's own check of a configuration. Used by `penstock render`; apart from `serve_config`, which needs no Ray."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from ray.serve.schema import ServeDeploySchema

from penstock.errors import DocumentError


def check(config: Mapping[str, Any]) -> None:
    """Raises DocumentError where Serve would refuse the configuration."""
    try:
        ServeDeploySchema.model_validate(dict(config))
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, details['loc'])) or 'the whole'}: {details['msg']}" for details in error.errors()
        )
        raise DocumentError(
            f"Ray Serve refuses the configuration of this document: {told}.",
            remedy="Change the values that it names; see penstock schema for what the document allows.",
        ) from error
