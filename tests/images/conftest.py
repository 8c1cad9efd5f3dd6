"""The built images, in a namespace of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penstock import __version__
from support.pods import Run, cluster, namespace, output_of


@pytest.fixture(scope="session")
def image_output() -> Iterator[Run]:
    """What a command prints in a pod of an image with the rights of the restricted profile."""
    with cluster() as core, namespace(core) as space:
        yield lambda image, command: output_of(core, space, image, command)


@pytest.fixture(scope="session")
def gateway_image() -> str:
    """As `images/build` names it."""
    return f"penstock/gateway:{__version__}"


@pytest.fixture(scope="session")
def engine_image() -> str:
    """The engine's image with the demo's models."""
    return f"penstock/engine:{__version__}-demo"


@pytest.fixture(scope="session", params=["gateway", "engine"])
def image(request: pytest.FixtureRequest) -> str:
    """One after the other."""
    return str(request.getfixturevalue(f"{request.param}_image"))
