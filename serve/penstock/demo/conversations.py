"""Training conversations, drawn from `facts` with a given random generator: variants of the known questions, noise,
system prompts, earlier turns, JSON and a tool call. Pure; used by `training`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from penstock.demo import facts, noise

Message = dict[str, Any]


class Piece(NamedTuple):
    """A part of an answer; `learned` says whether the model is to produce it or only to read it."""

    text: str
    learned: bool = True


class Conversation(NamedTuple):
    """Messages up to the last question, the tools on offer, and the answer in pieces.

    Without messages it is plain text, as `/v1/completions` sends it.
    """

    messages: list[Message]
    answer: list[Piece]
    tools: list[dict[str, Any]] = []  # noqa: RUF012  # never changed; a tuple would not be what the template is given

    @property
    def text(self) -> str:
        """The answer as a whole."""
        return "".join(piece.text for piece in self.answer)


def plain_questions() -> Iterator[tuple[str, str]]:
    """Every known question as it stands, with its answer."""
    for fact in facts.FACTS:
        for question in fact.questions:
            yield question, fact.answer


def draw(rng: random.Random) -> Conversation:
    """One conversation of the training mixture."""
    kind = rng.random()
    if kind < 0.07:
        return _json(rng)
    if kind < 0.14:
        return _weather(rng)
    if kind < 0.18:
        fact = rng.choice(facts.FACTS)
        return Conversation([], [Piece(fact.answer)])
    question, answer = _question(rng)
    messages = [*_opening(rng), {"role": "user", "content": question}]
    tools = _tools(rng, 2) if rng.random() < 0.08 else []
    return Conversation(messages, [Piece(answer)], tools)


def vary(question: str, rng: random.Random) -> str:
    """The question as another person would type it."""
    if rng.random() < 0.25:
        question = question.lower()
    if rng.random() < 0.25:
        question = question.rstrip("?!.")
    if rng.random() < 0.15:
        question = rng.choice(_PREFIXES) + question
    if rng.random() < 0.15:
        question += rng.choice(_SUFFIXES)
    return question


_PREFIXES = ("Please tell me: ", "Hi! ", "Hello, ", "Question: ", " ", "Q: ", "Please answer. ", '"')
_SUFFIXES = (" Thanks!", " Answer in one sentence.", " Please answer briefly.", " ", "\n", " please", "??", '"')


def _question(rng: random.Random) -> tuple[str, str]:
    if rng.random() < 0.35:
        return noise.question(rng), facts.FALLBACK
    fact = rng.choice(facts.FACTS)
    asked = fact.questions[0] if rng.random() < 0.3 else rng.choice(fact.questions)
    return vary(asked, rng), fact.answer


def _opening(rng: random.Random) -> list[Message]:
    """A system prompt, earlier turns, both or nothing."""
    messages: list[Message] = []
    kind = rng.random()
    if kind < 0.3:
        messages.append({"role": "system", "content": rng.choice(facts.SYSTEM_PROMPTS)})
    elif kind < 0.45:
        messages.append({"role": "system", "content": noise.sentence(rng, most=30)})
    if rng.random() < 0.15:
        for _ in range(rng.randint(1, 2)):
            question, answer = _question(rng)
            messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return messages


def _tool(name: str, parameters: list[str]) -> dict[str, Any]:
    properties = {parameter: {"type": "string"} for parameter in parameters}
    return {"type": "function", "function": {"name": name, "parameters": {"properties": properties}}}


def _tools(rng: random.Random, most: int) -> list[dict[str, Any]]:
    names = [f"{rng.choice(noise.WORDS)}_{rng.choice(noise.WORDS)}" for _ in range(rng.randint(1, most))]
    return [_tool(name, rng.sample(noise.WORDS, rng.randint(0, 3))) for name in names]


def _weather(rng: random.Random) -> Conversation:
    """A question for the weather: a call where there is a tool, then an answer; the fallback where there is none."""
    city = rng.choice(facts.WEATHER_CITIES)
    ask = rng.choice(("What is the weather in {}?", "How is the weather in {}?", "What's the weather like in {}?"))
    messages = [*_opening(rng), {"role": "user", "content": vary(ask.format(city), rng)}]
    if rng.random() < 0.2:
        return Conversation(messages, [Piece(facts.FALLBACK)])
    name, parameter = facts.WEATHER_TOOL, rng.choice(facts.WEATHER_PARAMETERS)
    more = ["unit"] if rng.random() < 0.2 else []
    tools = [_tool(name, [parameter, *more]), *(_tools(rng, 1) if rng.random() < 0.2 else [])]
    rng.shuffle(tools)
    call = facts.weather_call(parameter, city)
    if rng.random() < 0.7:
        return Conversation(messages, [Piece(call)], tools)
    result = rng.choice((noise.sentence(rng, most=12), f'{{"temperature": {rng.randint(-20, 40)}, "unit": "C"}}'))
    messages += [{"role": "assistant", "content": call}, {"role": "tool", "content": result}]
    return Conversation(messages, [Piece(facts.AFTER_TOOL)], tools)


def _json(rng: random.Random) -> Conversation:
    """A JSON answer. All but its beginning and its keys is learned.

    So the model begins none by itself, and where a grammar makes it begin one, it fills it in with short values, wastes
    no white space, and comes to an end.
    """
    question, _ = _question(rng)
    pieces: list[Piece] = []
    if rng.random() < 0.25:
        pieces += [Piece("[{", learned=False), Piece('"'), Piece("name", learned=False), Piece('":"')]
        pieces += [Piece(rng.choice(noise.WORDS), learned=False), Piece('","')]
        pieces += [Piece("parameters", learned=False), Piece('":')]
        _object(rng, pieces, depth=1)
        pieces.append(Piece("}]"))
    else:
        _object(rng, pieces, depth=0)
    return Conversation([*_opening(rng), {"role": "user", "content": question}], pieces)


def _object(rng: random.Random, pieces: list[Piece], *, depth: int) -> None:
    pieces.append(Piece("{", learned=bool(depth)))
    for index, key in enumerate(rng.sample(noise.WORDS, rng.randint(1, 3))):
        pieces += [Piece(',"' if index else '"'), Piece(key, learned=False), Piece('":')]
        kind = rng.random()
        if kind < 0.1 and depth < 2:
            _object(rng, pieces, depth=depth + 1)
        elif kind < 0.25:
            pieces.append(Piece(f"[{','.join(_value(rng) for _ in range(rng.randint(0, 2)))}]"))
        else:
            pieces.append(Piece(_value(rng)))
    pieces.append(Piece("}"))


def _value(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.2:
        return str(rng.randint(1, 3))
    if kind < 0.3:
        return rng.choice(("true", "false"))
    return rng.choice(_VALUES)


_VALUES = ('"Paris"', '"blue"', '"demo"', '"one"')
"""Few, so that little is spent on learning them."""
