"""What the images are made of can be told again: pinned, small, and for a user without rights."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.dockerfiles import Instruction, instructions, is_let_in, sources

ROOT = Path(__file__).parents[2]
GATEWAY = ROOT / "images" / "gateway" / "Dockerfile"
ENGINE = ROOT / "images" / "engine" / "Dockerfile"
BUILDS = [
    pytest.param(instructions(GATEWAY), id="gateway"),
    pytest.param(instructions(ENGINE, VARIANT="cpu"), id="engine-cpu"),
    pytest.param(instructions(ENGINE, VARIANT="cuda", PYTHON_MINOR="3.12"), id="engine-cuda"),
]


def _of(found: list[Instruction], word: str) -> list[Instruction]:
    return [instruction for instruction in found if instruction.word == word]


@pytest.mark.parametrize("found", BUILDS)
def test_every_base_is_a_stage_or_has_a_tag_that_is_not_latest(found: list[Instruction]) -> None:
    stages: set[str] = set()
    for instruction in _of(found, "FROM"):
        base = instruction.text.split(" AS ")[0]
        if base not in stages:
            _, colon, tag = base.rpartition(":")
            assert colon, base
            assert re.search(r"\d", tag), base
            assert tag != "latest"
        stages.add(instruction.stage)


@pytest.mark.parametrize("path", [GATEWAY, ENGINE], ids=["gateway", "engine"])
def test_no_other_frontend_is_asked_for(path: Path) -> None:
    """A line `# syntax=` would make every build, offline ones too, fetch an image."""
    assert "syntax=" not in path.read_text()


def test_both_images_begin_alike() -> None:
    stages = ("tools", "wheel")
    gateway, engine = (
        [instruction for instruction in instructions(path) if instruction.stage in stages] for path in (GATEWAY, ENGINE)
    )
    assert {instruction.stage for instruction in gateway} == set(stages)
    assert gateway == engine


@pytest.mark.parametrize("found", BUILDS)
def test_the_last_user_is_1000_and_nothing_is_put_before_a_command(found: list[Instruction]) -> None:
    assert _of(found, "USER")[-1].text == "1000:1000"
    assert _of(found, "ENTRYPOINT")[-1].text == "[]"


@pytest.mark.parametrize("found", BUILDS)
def test_system_packages_are_libraries_and_leave_no_lists(found: list[Instruction]) -> None:
    for instruction in _of(found, "RUN"):
        if "apt-get" not in instruction.text:
            continue
        installed = re.search(r"apt-get install ([^>&]+)", instruction.text)
        assert installed
        assert [word for word in installed[1].split() if not word.startswith("-")] == ["libgomp1", "libnuma1"]
        assert "--no-install-recommends" in instruction.text
        assert "apt-get clean" in instruction.text
        assert "rm -rf /var/lib/apt/lists/*" in instruction.text


@pytest.mark.parametrize("found", BUILDS)
def test_packages_are_installed_by_their_hashes_and_without_a_cache(found: list[Instruction]) -> None:
    installs = [part for one in _of(found, "RUN") for part in one.text.split("&&") if "pip install" in part]
    assert len(installs) >= 4
    for install in installs:
        ours = "/tmp/wheel/*.whl" in install
        assert ours or "--require-hashes" in install, install
        assert "--no-cache" in install, install


@pytest.mark.parametrize("found", BUILDS)
def test_no_package_is_compiled_in_an_image(found: list[Instruction]) -> None:
    installs = [one.text for one in _of(found, "RUN") if "target=/tmp/requirements.txt" in one.text]
    assert installs
    assert [install for install in installs if "--only-binary :all:" not in install] == []


@pytest.mark.parametrize(("path", "final"), [(GATEWAY, "gateway"), (ENGINE, "engine")], ids=["gateway", "engine"])
def test_a_change_of_our_code_leaves_the_layers_of_its_dependencies(path: Path, final: str) -> None:
    """From where our code comes in, only settings follow."""
    found = instructions(path)
    code = next(n for n, one in enumerate(found) if "/tmp/wheel/*.whl" in one.text)
    assert found[code].stage == final
    after = [one for one in found[code + 1 :] if one.stage == final]
    assert not [one for one in after if one.word in {"RUN", "COPY", "ADD"}]
    assert "serve" not in sources([one for one in found[:code] if one.stage != "wheel"])


@pytest.mark.parametrize("found", BUILDS)
def test_an_image_tells_what_it_is_and_how_it_is(found: list[Instruction]) -> None:
    labels = " ".join(one.text for one in _of(found, "LABEL"))
    for name in ("title", "description", "source", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{name}=" in labels
    assert [one.text.split("CMD ")[1] for one in _of(found, "HEALTHCHECK")] == ['["healthcheck"]']


@pytest.mark.parametrize("found", BUILDS)
def test_the_context_holds_what_a_build_takes(found: list[Instruction]) -> None:
    taken = sources(found)
    assert {"pyproject.toml", "serve", "images/healthcheck"} <= taken
    inside = {"serve": "serve/penstock/__init__.py", "build/image-models": "build/image-models/demo/config.json"}
    assert {path for path in taken if not is_let_in(inside.get(path, path), ROOT / ".dockerignore")} == set()


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        ".env",
        "penstock.yaml",
        "build/demo-model/model.safetensors",
        "serve/penstock/__pycache__/errors.cpython-311.pyc",
        "serve/notes.txt",
        "tests/conftest.py",
    ],
)
def test_the_context_holds_nothing_else(path: str) -> None:
    assert not is_let_in(path, ROOT / ".dockerignore")
