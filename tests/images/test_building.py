"""`images/build` builds what belongs together with any builder."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from penstock import __version__

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.integration


def _build(folder: Path, *images: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs it with a builder that notes its arguments."""
    builder = folder / "builder"
    builder.write_text(f'#!/bin/sh\nprintf "%s " "$@" >>{shlex.quote(str(folder / "calls"))}\necho >>{folder}/calls\n')
    builder.chmod(0o755)
    clean = {name: os.environ[name] for name in ("PATH", "HOME")}
    return subprocess.run(
        [ROOT / "images" / "build", *images],
        env={**clean, "BUILD": f"{builder} image", **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def _calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def test_it_builds_the_gateway_and_the_engine_and_prints_their_references(tmp_path: Path) -> None:
    done = _build(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        f"docker.io/penstock/gateway:{__version__}",
        f"docker.io/penstock/engine:{__version__}-cpu",
    ]
    gateway, engine = _calls(tmp_path)
    assert gateway.startswith(
        f"image docker.io/penstock/gateway:{__version__} images/gateway/Dockerfile {ROOT} --build-arg "
    )
    assert "--build-arg VARIANT=cpu --target engine" in engine


@pytest.mark.parametrize(
    ("environment", "minor"),
    [({}, "3.11"), ({"VARIANT": "cuda"}, "3.12"), ({"PYTHON_MINOR": "3.12"}, "3.12")],
    ids=["cpu", "cuda", "asked for"],
)
def test_all_images_get_the_same_python(tmp_path: Path, environment: dict[str, str], minor: str) -> None:
    done = _build(tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    calls = _calls(tmp_path)
    assert len(calls) == 2
    assert all(f" --build-arg PYTHON_MINOR={minor} " in call for call in calls)


def test_a_builder_that_fails_fails_the_build(tmp_path: Path) -> None:
    done = _build(tmp_path, BUILD="false")
    assert done.returncode != 0
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("images", "environment", "told"),
    [(["engines"], {}, "no image engines"), ([], {"VARIANT": "rocm"}, "no variant rocm")],
    ids=["image", "variant"],
)
def test_a_wrong_name_is_refused_with_what_to_do(
    tmp_path: Path, images: list[str], environment: dict[str, str], told: str
) -> None:
    done = _build(tmp_path, *images, **environment)
    assert done.returncode == 3
    assert told in done.stderr
    assert "do: " in done.stderr
    assert not (tmp_path / "calls").exists()
