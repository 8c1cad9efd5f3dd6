"""The form of a key, and what its check tells."""

from __future__ import annotations

import hashlib
import math
import string

from hypothesis import assume, given
from hypothesis import strategies as st

from penstock.accounts import secret

KEY = secret.new_key()
CHARACTERS = string.ascii_letters + string.digits


def test_a_key_holds_more_than_160_bits_that_nobody_can_guess():
    random = KEY.removeprefix(secret.PREFIX)[:-6]
    assert math.log2(len(CHARACTERS) ** len(random)) > 160
    assert len({secret.new_key() for _ in range(1000)}) == 1000


def test_a_new_key_is_whole():
    assert all(secret.is_whole(secret.new_key().encode()) for _ in range(100))


def test_the_check_is_what_a_template_of_helm_can_compute():
    # {{ sha256sum $body | trunc 6 }}
    body = KEY[:-6]
    assert hashlib.sha256(body.encode()).hexdigest()[:6] == KEY[-6:]


@given(st.data())
def test_a_key_with_one_wrong_character_is_not_whole(data: st.DataObject):
    at = data.draw(st.integers(0, len(KEY) - 1))
    other = data.draw(st.characters(codec="latin-1"))
    assume(other != KEY[at])
    assert not secret.is_whole((KEY[:at] + other + KEY[at + 1 :]).encode("latin-1"))


@given(st.integers(0, len(KEY) - 1))
def test_a_key_that_was_cut_is_not_whole(length: int):
    assert not secret.is_whole(KEY[:length].encode())


@given(st.integers(4, len(KEY) - 2))
def test_two_characters_in_the_wrong_order_are_seen(at: int):
    swapped = KEY[:at] + KEY[at + 1] + KEY[at] + KEY[at + 2 :]
    assert secret.is_whole(swapped.encode()) == (swapped == KEY)


@given(st.binary(max_size=300))
def test_no_bytes_confuse_the_check(text: bytes):
    assert not secret.is_whole(text)


@given(st.binary(min_size=32, max_size=32))
def test_a_hash_is_read_as_it_was_written(digest: bytes):
    assert secret.read(secret.written(digest)) == digest
