"""`--set`, as Helm means it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.config.loading import load
from penstock.config.setting import Assignment, SettingError, parse_set, render_set, render_steps
from penstock.errors import DocumentError
from support.documents import refusal


@pytest.mark.parametrize(
    ("text", "assignments"),
    [
        ("a=1", [(("a",), 1)]),
        ("a.b=c", [(("a", "b"), "c")]),
        ("a=1,b=x y", [(("a",), 1), (("b",), "x y")]),
        ("a=1,", [(("a",), 1)]),
        (r"a\.b.c=1", [(("a.b", "c"), 1)]),
        (r"a=x\,y", [(("a",), "x,y")]),
        (r"a=x\\y", [(("a",), "x\\y")]),
        ("a=b=c", [(("a",), "b=c")]),
        ("a={x,2,true}", [(("a",), ["x", 2, True])]),
        ("a={x},b=1", [(("a",), ["x"]), (("b",), 1)]),
        ("a={}", [(("a",), [""])]),
        (r"a={x\,y,\}}", [(("a",), ["x,y", "}"])]),
        ("a[0]=x", [(("a", 0), "x")]),
        ("a[1].b=x", [(("a", 1, "b"), "x")]),
        ("a[1][2]={x}", [(("a", 1, 2), ["x"])]),
        ("a=", [(("a",), "")]),
        ("a=null", [(("a",), None)]),
        ("a=TRUE,b=False", [(("a",), True), (("b",), False)]),
        ("a=0,b=007,c=-5,d=+5", [(("a",), 0), (("b",), "007"), (("c",), -5), (("d",), 5)]),
        ("a=1.5,b=1e3", [(("a",), "1.5"), (("b",), "1e3")]),
        ("a=9223372036854775807", [(("a",), 2**63 - 1)]),
        ("a=9223372036854775808", [(("a",), "9223372036854775808")]),
    ],
)
def test_a_set_means_what_it_means_to_helm(text, assignments):
    assert parse_set(text) == [Assignment(*assignment) for assignment in assignments]


def test_a_set_string_takes_every_value_for_text():
    values = [value for _, value in parse_set("a=1,b=true,c={2,null}", as_text=True)]
    assert values == ["1", "true", ["2", "null"]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("a", "'a' has no value"),
        ("a,b=1", "'a,' has no value"),
        ("=1", "empty key"),
        ("a..b=1", "empty key"),
        ("[0]=1", "empty key"),
        ("a[x]=1", "'x' is no position"),
        ("a[-1]=1", "'-1' is no position"),
        ("a[65537]=1", "is no position"),
        ("a[99999999999]=1", "is no position"),
        ("a[0=1", "[ without ]"),
        ("a[0]x=1", "after ] comes"),
        ("a[0]", "after ] comes"),
        ("a={x", "{ without }"),
        ("a={x}y", "after } comes"),
        ("a=x\\", "ends in a backslash"),
        (".".join("a" * 31) + "=1", "deeper than 30"),
        ("a=\udcff", "not valid UTF-8"),
        ("a=\0", "NUL"),
    ],
)
def test_a_set_that_cannot_be_understood_says_where_and_why(text, reason):
    with pytest.raises(SettingError) as caught:
        parse_set(text)
    assert reason in str(caught.value)


_KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
_STEPS = st.builds(
    lambda first, rest: (first, *rest), _KEYS, st.lists(_KEYS | st.integers(0, 9), max_size=6)
)  # fmt: skip
_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12).filter(
    lambda text: parse_set("a=" + text.replace("\\", "\\\\").replace(",", "\\,").replace("{", "\\{"))[0].value == text
)
_SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | _TEXTS
_ASSIGNMENTS = st.lists(
    st.builds(Assignment, _STEPS, _SCALARS | st.lists(_SCALARS, min_size=1, max_size=4)), min_size=1, max_size=4
)


@given(_ASSIGNMENTS)
def test_assignments_survive_being_written_and_read(assignments):
    assert parse_set(render_set(assignments)) == assignments


@given(st.text() | st.text(r"ab.,=[]{}\0129"), st.booleans())
def test_any_text_is_understood_or_refused(text, as_text):
    with contextlib.suppress(SettingError):
        assert parse_set(text, as_text=as_text)


@given(st.lists(st.text() | st.text("models.demoengine=simulatr,[]{}0"), max_size=3))
def test_settings_raise_nothing_but_document_errors(sets):
    with contextlib.suppress(DocumentError):
        load([], sets)


def test_settings_come_after_the_files_and_the_later_wins(tmp_path):
    document = load([], ["gateway.port=1", "gateway.port=2"], base={"gateway": {"port": 3, "replicas": 2}})
    assert (document.gateway.port, document.gateway.replicas) == (2, 2)


def test_a_name_with_a_dot_is_set_with_a_backslash():
    document = load([], [r"models.qwen2\.5-7b.engine=simulator", r"models.qwen2\.5-7b.aliases={a,b}"])
    assert document.alias_map() == {"qwen2.5-7b": "qwen2.5-7b", "a": "qwen2.5-7b", "b": "qwen2.5-7b"}
    assert render_steps(("models", "qwen2.5-7b", "aliases", 0)) == r"models.qwen2\.5-7b.aliases[0]"


def test_one_position_of_a_list_is_set_and_the_others_stay():
    base = {"models": {"m": {"engine": "simulator", "aliases": ["a", "b"]}}}
    assert load([], ["models.m.aliases[1]=c"], base=base).models["m"].aliases == ["a", "c"]
    assert load([], ["models.m.aliases[2]=c"], base=base).models["m"].aliases == ["a", "b", "c"]


def test_a_hole_in_a_list_is_named():
    base = {"models": {"m": {"engine": "simulator"}}}
    with pytest.raises(DocumentError, match=r"models.m.aliases\[1\]: models.m.aliases\[0\]: found nothing; needed"):
        load([], ["models.m.aliases[1]=c"], base=base)


def test_null_takes_back_what_a_file_says():
    assert load([], ["gateway.port=null"], base={"gateway": {"port": 9}}).gateway.port == 8000


def test_set_string_gives_text_where_text_is_needed():
    base = {"models": {"m": {"engine": "simulator"}}}
    assert load([], [], ["models.m.env.THREADS=1"], base=base).models["m"].env == {"THREADS": "1"}
    with pytest.raises(DocumentError, match="found the number 1; needed is a text"):
        load([], ["models.m.env.THREADS=1"], base=base)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("gateway.port.x=1", "the number 9 has no key 'x' inside"), ("gateway[0]=1", "a map has no position [0] inside")],
)
def test_a_way_through_something_without_an_inside_is_refused(tmp_path, text, reason):
    assert reason in refusal(tmp_path, "gateway: {port: 9}", [text])


def test_every_wrong_setting_is_listed_with_its_own_name(tmp_path):
    shown = refusal(tmp_path, "gateway: {port: 9}", ["gateway.porst=1,gateway.attempts=0", "logging.level=warn"])
    assert "--set gateway.porst: gateway.porst: unknown key `porst`; did you mean `port`?" in shown
    assert "--set gateway.attempts: gateway.attempts: found the number 0; it must be at least 1" in shown
    assert "--set logging.level: logging.level: found 'warn'; did you mean 'warning'?" in shown
