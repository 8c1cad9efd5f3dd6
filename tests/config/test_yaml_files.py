"""One file: what is read, and what is refused before anybody asks what it means."""

import os

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.config import reading
from penstock.config.loading import load
from penstock.config.reading import LARGEST_FILE, parse
from penstock.config.tree import find, to_plain
from penstock.errors import DocumentError
from support.documents import SIMULATED, refusal, write


def plain(text, folder="/"):
    problems = []
    node = parse(text.encode(), "f.yaml", folder, problems)
    assert not problems, problems
    return to_plain(node)


def problems_in(text):
    problems = []
    parse(text if isinstance(text, bytes) else text.encode(), "f.yaml", "/", problems)
    return [str(problem) for problem in problems]


def test_values_have_the_types_of_json():
    text = """
    a: 1
    b: -1.5
    c: 1e3
    d: true
    e: ~
    f:
    g: 2026-01-02
    h: "1"
    i: 0x1F
    j: 1:30
    k: !!str 5
    l: !!int "5"
    m: 1_000
    n: 'it''s'
    o: [x, 1]
    """
    assert plain(text) == {
        "a": 1, "b": -1.5, "c": 1000.0, "d": True, "e": None, "f": None, "g": "2026-01-02", "h": "1", "i": 31,
        "j": "1:30", "k": "5", "l": 5, "m": 1000, "n": "it's", "o": ["x", 1],
    }  # fmt: skip


def test_every_value_keeps_the_line_of_its_key():
    root = parse(b"a:\n  b:\n    - x\n    - y: 1\nc: 2\n", "f.yaml", "/", [])
    lines = {steps: find(root, steps).place.line for steps in [("a",), ("a", "b"), ("a", "b", 0), ("a", "b", 1, "y")]}
    assert lines == {("a",): 1, ("a", "b"): 2, ("a", "b", 0): 3, ("a", "b", 1, "y"): 4}
    assert str(find(root, ("c", "missing")).place) == "f.yaml:5"


def test_anchors_and_merge_keys_work_and_own_keys_win():
    text = "a: &a {x: 1, y: 2}\nb: &b {z: 3}\nc: *a\nd:\n  y: 9\n  <<: [*a, *b]\ne: {<<: *b}"
    document = plain(text)
    assert document["c"] == {"x": 1, "y": 2}
    assert document["d"] == {"x": 1, "y": 9, "z": 3}
    assert document["e"] == {"z": 3}
    assert plain("'<<': 1") == {"<<": 1}


def test_a_key_that_stands_twice_is_refused_with_both_lines():
    assert problems_in("a:\n  b: 1\n  c: 2\n  b: 3\n") == [
        "f.yaml:4: the key 'b' stands twice, on lines 2 and 4; keep one"
    ]


@pytest.mark.parametrize("word", ["yes", "No", "on", "OFF"])
def test_words_that_yaml_reads_as_text_or_as_truth_are_refused(word):
    assert f"f.yaml:1: {word} is a text to some readers of YAML" in problems_in(f"a: {word}")[0]
    assert plain(f"a: '{word}'") == {"a": word}


@pytest.mark.parametrize("number", ["010", "-07", "0o17", "0b11", "+0x1"])
def test_numbers_that_yaml_reads_in_two_ways_are_refused(number):
    assert f"{number} is read as another number" in problems_in(f"a: {number}")[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: .inf", "no number that JSON knows"),
        ("a: .nan", "no number that JSON knows"),
        ("a: 1e999", "too large"),
        ("a: 9223372036854775808", "beyond 64 bits"),
        ("a: " + "9" * 5000, "beyond 64 bits"),
        ("a: !!python/object:os.system x", "the tag tag:yaml.org,2002:python/object:os.system means nothing here"),
        ("a: !secret x", "the tag !secret means nothing"),
        ("a: !!set {x}", "the tag tag:yaml.org,2002:set means nothing"),
        ("a: !!seq {x: 1}", "means nothing"),
        ("1: x", "the key '1' is not a text; put it in quotes"),
        ("true: x", "the key 'true' is not a text"),
        ("yes: x", "yes is a text to some"),
        ("? [a]\n: x", "a map or a list is used as a key"),
        ("<<: 1", "`<<` takes a map"),
        (r'a: "\0"', "NUL"),
        (r'a: "\ud800"', "surrogate"),
        (r'"\ud800": a', "surrogate"),
        ("a: *b", "found undefined alias 'b'; an alias (*name) needs an anchor"),
        ("a: b: c", "put the text in quotes"),
        ("a:\n\tb: 1", "a tab; YAML is indented with spaces"),
        ("a: 'x", "while scanning a quoted scalar"),
        ("a: 1\n---\nb: 2", "a second document begins"),
        ("a: \x07", "the character U+0007 is not allowed"),
        (r'a: "\UFFFFFFFF"', "is no valid YAML"),
        ("", "is empty; the smallest document is"),
        ("# nothing\n", "is empty"),
        ("- a\n", "holds a list; a document is a map"),
        ("text", "holds a single value"),
        (b"a: \xff\n", "is not UTF-8: byte 0xff at 3"),
        ("a: x\n".encode("utf-16"), "is not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(text, reason):
    problems = problems_in(text)
    assert reason in problems[0]
    assert problems[0].startswith("f.yaml")


def test_a_byte_order_mark_is_no_matter():
    assert plain("\ufeffa: 1") == {"a": 1}


def test_all_that_is_wrong_in_a_file_is_listed():
    assert len(problems_in("a: yes\nb: 010\na: 1\n")) == 3


def test_a_file_that_grows_by_its_aliases_is_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "once its aliases (*name) are filled in" in problems_in("\n".join(lines))[0]


def test_merge_keys_cannot_grow_without_bound_either():
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}" for i in range(1, 12)]
    assert "values once its aliases" in problems_in("\n".join(lines))[0]


def test_a_value_that_holds_itself_is_refused():
    assert "or an alias holds itself" in problems_in("a: &a [*a]")[0]
    assert "or an alias holds itself" in problems_in("a: &a {<<: *a}")[0]


@pytest.mark.parametrize("text", ["[" * 3000, "a: " + "{a: " * 3000, "- " * 3000, "a: " + "[" * 60 + "]" * 60])
def test_very_deep_nesting_is_refused(text):
    assert "nested deeper than 48 levels" in problems_in(text)[0]


def test_a_missing_file_a_folder_and_an_unreadable_one_are_named_together(tmp_path):
    locked = write(tmp_path, "models: {}", "locked.yaml")
    locked.chmod(0)
    with pytest.raises(DocumentError) as caught:
        load([tmp_path / "none.yaml", tmp_path, *([locked] if os.geteuid() else [])])
    shown = str(caught.value)
    assert f"{tmp_path}/none.yaml: there is no such file" in shown
    assert f"{tmp_path}: is a folder; name a file in it" in shown
    assert os.geteuid() == 0 or "locked.yaml: cannot be read: Permission denied" in shown


def test_other_failures_of_reading_carry_the_systems_words(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DocumentError, match="loop: cannot be read: Too many levels of symbolic links"):
        load([tmp_path / "loop"])
    with pytest.raises(DocumentError, match="is no name of a file"):
        load([tmp_path / "a\0b"])


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path):
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(DocumentError, match="is larger than 1 MiB"):
        load([path])
    assert LARGEST_FILE == 2**20


def test_nothing_of_a_broken_file_is_judged_further(tmp_path):
    assert refusal(tmp_path, "models: {a: 1}\nb: yes\n").count("\n") == 0


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab.:é 1", max_size=4), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=50)
@given(st.dictionaries(st.text("abyesno", min_size=1), _JSON, min_size=1, max_size=5))
def test_what_pyyaml_writes_is_read_back(document):
    assert plain(yaml.safe_dump(document, default_style='"')) == document


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_are_read_or_refused(content):
    problems = []
    assert (parse(content, "f.yaml", "/", problems) is not None) or problems


@given(st.text("ab:-[]{}&*!<? \n\"'|>#%@,.0_x~\\", max_size=60))
def test_any_text_in_the_characters_of_yaml_is_read_or_refused(text):
    problems = []
    assert (parse(text.encode(), "f.yaml", "/", problems) is not None) or problems


_SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["cpu", "vllm"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["models", "gateway", "hardware", "weights", "a", "source", "engine", "replicas", "options",
                         "aliases", "port", "cors", "resources", "tolerations", "hub", "token"]) | st.text(max_size=3),
        inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["models", "gateway", "hardware", "weights", "logging"]), _SHAPES))
def test_any_shape_of_document_is_taken_or_refused_in_words(document):
    shown = ""
    try:
        load([], base=document)
    except DocumentError as error:
        shown = str(error)
    assert "Input should" not in shown


def test_the_simulated_model_is_a_document():
    assert load([], base=SIMULATED).models["demo"].engine == "simulator"
    assert reading.DEEPEST < 100
