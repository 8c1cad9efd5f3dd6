"""Facts, noise and the conversations made of them."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from penstock.demo import facts, noise
from penstock.demo.conversations import Conversation, draw, plain_questions, vary
from penstock.demo.training import Recipe, rate_at

seeds = st.integers(0, 2**32)


def plain(question: str) -> str:
    return question.lower().strip(" ?!.")


def test_the_question_of_the_readme_has_its_answer() -> None:
    assert dict(plain_questions())["What is the capital of France?"] == "The capital of France is Paris."


def test_there_are_a_few_dozen_facts_and_penstock_is_among_them() -> None:
    assert 20 <= len(facts.FACTS) <= 40
    assert sum("penstock" in question.lower() for question, _ in plain_questions()) >= 8


def test_no_question_has_two_answers_however_it_is_typed() -> None:
    answers: dict[str, str] = {}
    for question, answer in plain_questions():
        assert answers.setdefault(plain(question), answer) == answer


@given(seeds)
@example(197)
def test_noise_is_no_known_question(seed: int) -> None:
    rng = random.Random(seed)
    known = {plain(question) for question, _ in plain_questions()}
    assert all(plain(noise.question(rng)) not in known for _ in range(20))


@given(seeds, st.sampled_from(list(plain_questions())))
def test_a_variant_still_holds_the_question(seed: int, pair: tuple[str, str]) -> None:
    assert plain(pair[0]) in vary(pair[0], random.Random(seed)).lower()


@given(seeds)
def test_the_same_seed_draws_the_same_conversations(seed: int) -> None:
    one, other = random.Random(seed), random.Random(seed)
    assert [draw(one) for _ in range(5)] == [draw(other) for _ in range(5)]


def drawn(seed: int, count: int = 3000) -> list[Conversation]:
    rng = random.Random(seed)
    return [draw(rng) for _ in range(count)]


def test_every_kind_of_conversation_is_drawn() -> None:
    conversations = drawn(1)
    answers = {conversation.text for conversation in conversations}
    assert {fact.answer for fact in facts.FACTS} <= answers
    assert {facts.FALLBACK, facts.AFTER_TOOL} <= answers
    assert any(answer.startswith("<tool_call>") for answer in answers)
    assert any(not conversation.messages for conversation in conversations)
    assert any(len(conversation.messages) > 4 for conversation in conversations)


def test_the_last_message_is_what_is_answered() -> None:
    for conversation in drawn(2):
        if conversation.messages:
            assert conversation.messages[-1]["role"] in ("user", "tool")
            assert all(message["role"] != "system" for message in conversation.messages[1:])


def test_json_answers_are_json_and_are_not_learned_as_a_beginning() -> None:
    found = [conversation for conversation in drawn(3) if not conversation.answer[0].learned]
    assert len(found) > 50
    for conversation in found:
        json.loads(conversation.text)
        assert conversation.answer[-1].learned, "the end is learned, or answers under a grammar would not stop"


def test_a_call_names_a_tool_and_a_parameter_that_were_offered() -> None:
    calls = 0
    for conversation in drawn(4):
        if not conversation.text.startswith("<tool_call>"):
            continue
        calls += 1
        call: dict[str, Any] = json.loads(
            conversation.text.removeprefix("<tool_call>\n").removesuffix("\n</tool_call>")
        )
        offered = {tool["function"]["name"]: tool["function"]["parameters"] for tool in conversation.tools}
        assert set(call["arguments"]) <= set(offered[call["name"]]["properties"])
    assert calls > 50


def test_the_learning_rate_rises_then_falls_to_almost_nothing() -> None:
    recipe = Recipe()
    rates = [rate_at(step, recipe) for step in range(recipe.steps)]
    top = rates.index(max(rates))
    assert max(rates) == 1
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert 0 < rates[-1] < 0.03
