"""The folders for compiled code: beside the weights, keyed by what makes it worthless, never in anybody's way."""

from __future__ import annotations

import compileall
import os
from pathlib import Path

import pytest

from penstock.engine import compiled
from penstock.engine.weights.store import Store

VERSIONS = {"vllm": "0.32.0+cpu", "torch": "2.13.0"}
CPUINFO = """\
processor\t: 0
model name\t: Some CPU @ 2.0GHz
cpu MHz\t\t: 2000.123
flags\t\t: fpu sse avx512f

processor\t: 1
model name\t: Some CPU @ 2.0GHz
cpu MHz\t\t: 1999.9
flags\t\t: fpu sse avx512f
"""


def test_an_engine_gets_folders_beside_the_weights(tmp_path: Path) -> None:
    made = compiled.environment(str(tmp_path), "cpu")
    folder = tmp_path / ".compiled" / compiled.own_key("cpu")
    assert folder.is_dir()
    assert made["VLLM_CACHE_ROOT"] == str(folder / "vllm")
    assert {Path(value).parent for value in made.values()} == {folder}
    assert len(set(made.values())) == len(made)


def test_the_same_machine_and_packages_have_the_same_key() -> None:
    assert compiled.own_key("cpu") == compiled.own_key("cpu")
    assert compiled.own_key("cpu") != compiled.own_key("nvidia-l4")


@pytest.mark.parametrize(
    "other",
    [
        ({**VERSIONS, "vllm": "0.33.0"}, "x86_64", ["cpu", "avx512"]),
        ({**VERSIONS, "torch": "2.14.0"}, "x86_64", ["cpu", "avx512"]),
        (VERSIONS, "aarch64", ["cpu", "avx512"]),
        (VERSIONS, "x86_64", ["nvidia-l4", "avx512"]),
        (VERSIONS, "x86_64", ["cpu", "avx2"]),
        (VERSIONS, "x86_64", ["cpu", "avx512", ""]),
    ],
)
def test_whatever_makes_compiled_code_worthless_changes_the_key(other: tuple[dict[str, str], str, list[str]]) -> None:
    assert compiled.key(*other) != compiled.key(VERSIONS, "x86_64", ["cpu", "avx512"])


def test_a_key_is_one_readable_name_of_a_folder() -> None:
    made = compiled.key(VERSIONS, "x86_64", ["cpu"])
    assert made.startswith("vllm-0.32.0_cpu-torch-2.13.0-x86_64-")
    assert "/" not in made


def test_a_processor_is_known_by_its_model_and_abilities_and_not_by_its_clock() -> None:
    assert compiled.processor(CPUINFO) == ["model name=2.0GHz @ CPU Some", "flags=avx512f fpu sse"]
    assert compiled.processor(CPUINFO.replace("2000.123", "800.0").replace("fpu sse", "sse fpu")) == (
        compiled.processor(CPUINFO)
    )
    assert compiled.processor("") == []


def test_a_cache_that_cannot_be_written_leaves_the_engine_its_own_places(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert compiled.environment(str(file), "cpu") == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_leaves_the_engine_its_own_places(tmp_path: Path) -> None:
    folder = tmp_path / ".compiled" / compiled.own_key("cpu")
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    assert compiled.environment(str(tmp_path), "cpu") == {}
    folder.chmod(0o700)


def test_compiled_code_is_no_weights_to_the_cache(tmp_path: Path) -> None:
    store = Store(tmp_path, limit=1)
    store.open()
    folder = Path(compiled.environment(str(tmp_path), "cpu")["VLLM_CACHE_ROOT"])
    folder.mkdir()
    (folder / "big").write_bytes(bytes(1000))
    assert store.stored() == []
    store._sweep()
    assert (folder / "big").exists()


def test_places_that_somebody_named_are_left_alone() -> None:
    kept = {"VLLM_CACHE_ROOT": "/kept", "TRITON_CACHE_DIR": "/kept"}
    whole = compiled.laid_under(kept, {"TRITON_CACHE_DIR": "/mine", "PATH": "/bin"}, named={})
    assert whole == {"VLLM_CACHE_ROOT": "/kept", "TRITON_CACHE_DIR": "/mine", "PATH": "/bin"}


def test_a_ban_on_bytecode_around_us_does_not_hold_for_a_place_of_its_own_but_the_documents_does() -> None:
    kept, ban = {"PYTHONPYCACHEPREFIX": "/kept"}, {"PYTHONDONTWRITEBYTECODE": "1"}
    assert compiled.laid_under(kept, ban, named={}) == kept
    assert compiled.laid_under(kept, ban, named=ban) == kept | ban
    assert compiled.laid_under({}, ban, named={}) == ban


def test_bytecode_gets_a_place_where_packages_come_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "large_package_of_a_test"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(compiled, "_LARGE_PACKAGES", (package.name, "not_installed_at_all"))
    cache = tmp_path / "cache"
    made = compiled.environment(str(cache), "cpu")
    assert made["PYTHONPYCACHEPREFIX"] == str(cache / ".compiled" / compiled.own_key("cpu") / "python")
    assert compileall.compile_dir(package, quiet=1)
    assert "PYTHONPYCACHEPREFIX" not in compiled.environment(str(cache), "cpu")
