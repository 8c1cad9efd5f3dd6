"""Questions that the demo model does not know, from near misses of known ones to rubbish. Pure; used by
`conversations`."""

from __future__ import annotations

import random

from penstock.demo import facts

_COMMON = """
    the a an of to in is it you that he was for on are with as his they be at one have this from or had by hot but
    some what there we can out other were all your when up use word how said each she which do their time if will way
    about many then them would write like so these her long make thing see him two has look more day could go come did
    my sound no most number who over know water than call first people may down side been now find any new work part
    take get place made live where after back little only round man year came show every good me give our under name
    very through just form much great think say help low line before turn cause same mean differ move right boy old
    too does tell sentence set three want air well also play small end put home read hand port large spell add even
    land here must big high such follow act why ask men change went light kind off need house picture try us again
    animal point mother world near build self earth father list value title city country color result poem code python
    json explain summarize translate email function table model server error user test data story
"""
WORDS = _COMMON.split()
_FRAMES = (
    "What is {}?", "Who is {}?", "Who wrote {}?", "How many {} are in {}?", "How do I {} {}?", "Tell me about {}.",
    "Write a poem about {}.", "Explain {} to a {}.", "What color is {}?", "Where is {}?", "When was {} {}?", "Why {}?",
    "Summarize: {} {}", "Translate {} into {}.", "Is {} {}?", "Can you {} {}?", "{}", "What does {} do?",
    "Write a Python function that {} {}.", "How does the {} work?", "Does {} need a {}?", "What is the largest {}?",
)  # fmt: skip
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _plain(text: str) -> str:
    return text.lower().strip(" ?!.")


_KNOWN = frozenset(_plain(known) for fact in facts.FACTS for known in fact.questions)


def question(rng: random.Random) -> str:
    """A question, an order or rubbish whose right answer is the fallback."""
    while _plain(text := _question(rng)) in _KNOWN:
        pass
    return text


def _question(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.2:
        return rng.choice(facts.FACTS[0].questions).replace("France", _unknown_country(rng))
    if kind < 0.28:
        return _arithmetic(rng)
    if kind < 0.6:
        frame = rng.choice(_FRAMES)
        text = frame.format(*(_thing(rng) for _ in range(frame.count("{}"))))
        return text.lower() if rng.random() < 0.3 else text
    if kind < 0.9:
        return sentence(rng, most=60 if rng.random() < 0.2 else 14)
    return "".join(chr(_code_point(rng)) for _ in range(rng.randint(1, 24)))


def sentence(rng: random.Random, *, most: int) -> str:
    """Up to `most` words in no order, with a beginning and an end."""
    words = [pseudo_word(rng) if rng.random() < 0.15 else rng.choice(WORDS) for _ in range(rng.randint(1, most))]
    text = " ".join(words)
    return (text.capitalize() if rng.random() < 0.6 else text) + rng.choice((".", "?", "!", "", ""))


def pseudo_word(rng: random.Random) -> str:
    """A word of no language, so that unknown words are nothing new."""
    word = "".join(rng.choice(_LETTERS) for _ in range(rng.randint(2, 9)))
    return word.capitalize() if rng.random() < 0.3 else word


def _unknown_country(rng: random.Random) -> str:
    return rng.choice(facts.OTHER_COUNTRIES) if rng.random() < 0.5 else pseudo_word(rng).capitalize()


def _arithmetic(rng: random.Random) -> str:
    left, right = rng.randint(0, 30), rng.randint(3, 99)
    sign = rng.choice("+-*/")
    return rng.choice(("What is {} {} {}?", "{} {} {}", "{}{}{}=?")).format(left, sign, right)


def _thing(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return pseudo_word(rng)
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 2)))


def _code_point(rng: random.Random) -> int:
    kind = rng.random()
    if kind < 0.6:
        return rng.randint(32, 126)
    if kind < 0.9:
        return rng.randint(0xA1, 0x24FF)
    return rng.choice((rng.randint(0x4E00, 0x9FFF), rng.randint(0x1F300, 0x1F6FF)))
