from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.simulator import answers


def made(**more):
    return answers.made_up(b"key", **{"asked": None, "usual": 8, "room": 100, **more})


def test_an_answer_of_usual_length_ends_by_itself():
    assert (len(made().pieces), made().finish_reason) == (8, "stop")


def test_an_answer_that_was_asked_to_be_short_is_cut():
    answer = made(asked=3)
    assert (len(answer.pieces), answer.finish_reason) == (3, "length")


def test_an_answer_without_room_is_cut():
    answer = made(room=2)
    assert (len(answer.pieces), answer.finish_reason) == (2, "length")


@given(st.lists(st.text(min_size=1, max_size=3), max_size=3), st.integers(min_value=1, max_value=60))
def test_no_stop_string_is_ever_shown(stops: list[str], asked: int):
    whole = answers.made_up(b"key", asked=asked, usual=8, room=100).text
    answer = answers.made_up(b"key", asked=asked, usual=8, room=100, stops=stops)
    assert whole.startswith(answer.text)
    assert not any(stop in answer.text for stop in stops)
    assert answer.pieces
    if answer.stop_reason is None:
        assert answer.text == whole
    else:
        assert answer.finish_reason == "stop"
        assert whole.startswith(answer.text + answer.stop_reason)


def test_the_first_of_several_stop_strings_ends_the_answer():
    words = answers.made_up(b"key", asked=8, usual=8, room=100).text.split()
    answer = answers.made_up(b"key", asked=8, usual=8, room=100, stops=[words[5], words[2]])
    assert answer.stop_reason == words[2]


def test_a_given_text_is_whole_or_cut():
    assert answers.of_text("abcdefgh", asked=None, room=9).finish_reason == "stop"
    assert answers.of_text("abcdefgh", asked=2, room=9).finish_reason == "stop"
    assert answers.of_text("abcdefgh", asked=1, room=9) == answers.Answer(["abcd"], "length")
