"""Several files become one document."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.config.loading import load
from penstock.config.tree import Place, from_plain, merge, to_plain, without_nulls
from penstock.errors import DocumentError
from support.documents import WHOLE, loaded, refusal, write

PLACE = Place("test")
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=15,
)
_MAPS = st.dictionaries(st.sampled_from("abcd"), _VALUES, max_size=4)


def merged(*documents):
    root = from_plain({}, PLACE)
    for document in documents:
        root = merge(root, from_plain(document, PLACE))
    return to_plain(without_nulls(root))


def contains(whole, part):
    """Whether everything that a later file says holds in the result."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key not in whole if value is None else contains(whole.get(key), value) for key, value in part.items()
        )
    return whole == part


@given(_MAPS)
def test_a_file_merged_with_itself_is_itself(document):
    assert merged(document, document) == merged(document)


@given(_MAPS, _MAPS)
def test_merging_the_same_file_again_changes_nothing(lower, upper):
    assert merged(lower, upper, upper) == merged(lower, upper)


@given(_MAPS, _MAPS)
def test_the_later_file_wins(lower, upper):
    assert contains(merged(lower, upper), upper)


@given(_MAPS, _MAPS)
def test_what_the_later_file_does_not_mention_stays(lower, upper):
    result = merged(lower, upper)
    for key in lower.keys() - upper.keys():
        assert result.get(key) == merged(lower).get(key)


@given(_MAPS)
def test_an_empty_file_changes_nothing(document):
    assert merged(document, {}) == merged({}, document) == merged(document)


def test_a_whole_document_is_loaded(tmp_path):
    document = loaded(tmp_path, WHOLE)
    model = document.models["qwen3-8b"]
    assert (model.source, model.replicas.max, model.options) == ("hf://Qwen/Qwen3-8B", 4, {"max_model_len": 8192})
    assert document.gpus_of(model) == 1
    assert document.hardware_of(model).resources == {"nvidia.com/gpu": 1, "memory": "24Gi", "cpu": "3.5"}
    assert document.gateway.max_body_bytes == 32 * 2**20


def test_maps_merge_lists_are_replaced_and_null_deletes(tmp_path):
    base = write(tmp_path, "models: {a: {source: hf://o/r, aliases: [x, y], gpus: 0}}\ngateway: {port: 1, attempts: 5}")
    site = write(tmp_path, "models: {a: {aliases: [z], gpus: null}, b: {engine: simulator}}\ngateway: {port: 2}", "s")
    document = load([base, site])
    assert (document.models["a"].aliases, document.models["a"].gpus) == (["z"], None)
    assert list(document.models) == ["a", "b"]
    assert (document.gateway.port, document.gateway.attempts) == (2, 5)


def test_a_section_without_anything_in_it_is_a_section_of_defaults(tmp_path):
    assert loaded(tmp_path, "gateway:\n  # port: 9\nmodels:\n").gateway.port == 8000


def test_nothing_at_all_is_a_document_of_defaults():
    assert load([]).models == {}


def test_a_path_is_relative_to_the_file_that_it_was_written_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    base = write(tmp_path, "models: {a: {source: weights/a}, b: {source: ../b}, e: {source: /abs/x}}", "deep/base.yaml")
    site = write(tmp_path, "models: {c: {source: ./c}, d: {source: ~/d}, f: {source: 'file:///f'}}", "site.yaml")
    document = load([base.relative_to(tmp_path), site], ["models.g.source=g,models.h.source=hf://o/r"])
    assert {name: model.source for name, model in document.models.items()} == {
        "a": f"file://{tmp_path}/deep/weights/a",
        "b": f"file://{tmp_path}/b",
        "c": f"file://{tmp_path}/c",
        "d": "file:///home/someone/d",
        "e": "file:///abs/x",
        "f": "file:///f",
        "g": f"file://{tmp_path}/g",
        "h": "hf://o/r",
    }


def test_a_source_keeps_its_folder_when_another_file_changes_its_model(tmp_path):
    base = write(tmp_path, "models: {a: {source: w}}", "x/base.yaml")
    site = write(tmp_path, "models: {a: {replicas: 2}}", "y/site.yaml")
    assert load([base, site]).models["a"].source == f"file://{tmp_path}/x/w"


def test_a_home_that_is_not_there_is_a_problem_of_the_document(tmp_path):
    shown = refusal(tmp_path, "models: {a: {source: ~nobody-of-this-name/x}}")
    assert shown.startswith("penstock.yaml:1: models.a.source: the home folder in '~nobody-of-this-name/x' cannot be")


def test_a_nul_in_a_path_of_a_base_is_refused():
    with pytest.raises(DocumentError, match="a path holds no NUL"):
        load([], base={"models": {"a": {"source": "a\0b"}}})


def test_python_builds_sections_by_their_own_names_and_documents_do_not(tmp_path):
    from penstock.config import Gateway

    assert Gateway(max_body_bytes=3).max_body_bytes == 3
    assert "documents are written in camelCase: `maxBodyBytes`" in refusal(tmp_path, "gateway: {max_body_bytes: 3}")


def test_a_problem_names_the_file_that_it_was_written_in(tmp_path):
    base = write(tmp_path, "gateway:\n  port: 1\n  attempts: 0\n", "base.yaml")
    site = write(tmp_path, "gateway:\n\n\n  port: 0\n", "site.yaml")
    with pytest.raises(DocumentError) as caught:
        load([base, site])
    assert str(caught.value).splitlines() == [
        "The document has 2 problems:",
        f"  {base}:3: gateway.attempts: found the number 0; it must be at least 1",
        f"  {site}:4: gateway.port: found the number 0; it must be at least 1",
    ]


def test_names_of_files_may_be_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "models: {a: {source: w}}")
    assert load([Path("penstock.yaml")]).models["a"].source == f"file://{tmp_path}/w"
