"""Ray's own schema has the last word on a rendered configuration."""

from __future__ import annotations

import pytest

from penstock.assembly.serve_config import Placement, serve_config
from penstock.config import Document

pytestmark = pytest.mark.ray


@pytest.mark.parametrize("placement", list(Placement))
def test_rays_schema_accepts_every_kind_of_model(placement: Placement) -> None:
    from ray.serve.schema import ServeDeploySchema

    document = Document.model_validate(
        {
            "models": {
                "demo": {"source": "/m"},
                "Org/scaled": {"source": "hf://a/b", "replicas": {"min": 0, "max": 3}},
                "sim": {"engine": "simulator", "replicas": 2},
            }
        }
    )
    config = serve_config(document, placement)
    schema = ServeDeploySchema.model_validate(config)
    assert [app.name for app in schema.applications] == [app["name"] for app in config["applications"]]
    for application, rendered in zip(schema.applications, config["applications"], strict=True):
        kept = application.deployments[0].model_dump(exclude_unset=True, mode="json")
        # A key that Ray does not know would be ignored in silence.
        assert rendered["deployments"][0].keys() <= kept.keys() | {"autoscaling_config"}
