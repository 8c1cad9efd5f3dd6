"""Names and eviction: the pure parts of the cache."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.config import Source, parse_source
from penstock.engine.weights.eviction import Stored, plan_eviction
from penstock.engine.weights.names import entry_name, is_safe_path, source_name

sources = st.builds(
    Source,
    st.sampled_from(["hf", "s3", "gs"]),
    st.text("abZ.-_/", min_size=1, max_size=12),
    st.text("ab/é ", max_size=200),
    st.none() | st.text("ab1/", min_size=1, max_size=8),
)


@given(sources, sources, st.sampled_from([None, "http://a", "http://b"]))
def test_names_are_plain_file_names_and_equal_only_for_equal_sources(one, other, endpoint):
    for name in (source_name(one, endpoint), entry_name(one, endpoint, "0" * 40)):
        assert PurePosixPath(name).name == name
        assert len(name.encode()) < 128
        assert not name.startswith(".")
        assert name.isascii()
    same = one._replace(revision=one.revision or ("main" if one.scheme == "hf" else None)) == other._replace(
        revision=other.revision or ("main" if other.scheme == "hf" else None)
    )
    assert (source_name(one, endpoint) == source_name(other, endpoint)) == same
    assert source_name(one, "http://c") != source_name(one, endpoint)


def test_an_entry_is_the_same_whichever_branch_led_to_it():
    main, tag = parse_source("hf://acme/tiny"), parse_source("hf://acme/tiny@v1")
    assert entry_name(main, None, "c0ffee") == entry_name(tag, None, "c0ffee")
    assert entry_name(main, None, "c0ffee") != entry_name(main, None, "decaf")
    assert source_name(main, None) == source_name(parse_source("hf://acme/tiny@main"), None)


def test_a_name_can_be_read():
    assert source_name(parse_source("hf://Qwen/Qwen3-8B"), None).startswith("hf--Qwen--Qwen3-8B--main-")
    assert entry_name(parse_source("s3://bucket/a/b"), None, "0123456789abcdef").startswith(
        "s3--bucket--a--b--0123456789ab-"
    )


@pytest.mark.parametrize("path", ["a", "a/b.json", "ü/ä b.bin", ".hidden", "..a", "a..b/c"])
def test_paths_below_a_folder_are_safe(path):
    assert is_safe_path(path)


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../a", "a/../../b", "a//b", "a/", "./a", "a\\..\\b", "a\0b", "a\nb"]
)
def test_paths_that_lead_elsewhere_are_not(path):
    assert not is_safe_path(path)


@given(st.text())
def test_a_safe_path_never_leaves_its_folder(path):
    if is_safe_path(path):
        joined = PurePosixPath("/cache/entry") / path
        assert ".." not in joined.parts
        assert joined.is_relative_to("/cache/entry")


stored = st.lists(
    st.builds(Stored, st.text("abc", min_size=1), st.integers(0, 100), st.floats(0, 10), st.booleans()),
    unique_by=lambda item: item.name,
)


@given(stored, st.integers(0, 200), st.integers(0, 300))
def test_eviction_makes_it_fit_with_the_oldest_and_no_more_than_needed(items, needed, limit):
    plan = plan_eviction(items, needed, limit)
    total = sum(item.size for item in items) + needed
    in_use = sum(item.size for item in items if item.in_use)
    if plan is None:
        assert in_use + needed > limit
        return
    freed = sum(item.size for item in plan)
    assert total - freed <= limit
    assert not any(item.in_use for item in plan)
    if plan:
        assert total - (freed - plan[-1].size) > limit
    stay = [item for item in items if item not in plan and not item.in_use]
    assert all(gone.used <= kept.used for gone in plan for kept in stay)


@given(stored, st.integers(0, 10**18))
def test_without_a_limit_nothing_is_evicted(items, needed):
    assert plan_eviction(items, needed, None) == []
