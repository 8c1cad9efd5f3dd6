from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.simulator import words


@given(st.text())
def test_a_text_survives_being_tokens(text: str):
    assert words.decode(words.encode(text)) == text.encode("utf-8", "replace").decode()


@given(st.text())
def test_the_count_is_that_of_the_tokens(text: str):
    assert words.count_tokens(text) == len(words.encode(text))


@given(st.lists(st.integers(min_value=0, max_value=2**70)))
def test_any_numbers_decode_to_some_text(tokens: list[int]):
    assert isinstance(words.decode(tokens), str)


def test_a_number_that_is_no_token_is_shown_as_unknown():
    assert words.decode([3, *words.encode("abcd")]) == "\ufffdabcd"


@given(st.text())
def test_pieces_join_to_the_text_and_are_short(text: str):
    pieces = words.split(text)
    assert "".join(pieces) == text
    assert all(pieces)
    assert all(len(piece.encode("utf-8", "replace")) <= words.TOKEN_BYTES for piece in pieces)


@given(st.binary(), st.integers(min_value=0, max_value=500))
def test_made_up_words_are_one_token_each(key: bytes, count: int):
    made = words.made_up(key, count)
    assert len(made) == words.count_tokens("".join(made)) == count
    assert made == words.made_up(key, count)


def test_different_keys_give_different_texts():
    assert len({"".join(words.made_up(b"%d" % number, 16)) for number in range(100)}) == 100
