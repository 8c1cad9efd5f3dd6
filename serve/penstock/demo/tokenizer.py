"""The demo model's tokenizer: byte-level BPE, trained on the corpus. Any text is encoded and comes back unchanged.

Used by `making`. Imports the tokenizers library where it is used: it comes with an engine, not with Penstock.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from penstock.demo import conversations, facts, noise
from penstock.demo.template import CHAT_TEMPLATE, END, PAD, SPECIAL_TOKENS

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCABULARY = 768
MAX_LENGTH = 2048
"""Positions of the model, so also the longest text."""


def corpus() -> Iterator[str]:
    """What the merges are learned from: the answers and questions, in both cases, and some noise."""
    for question, answer in conversations.plain_questions():
        yield from (question, question.lower(), answer)
    yield from (facts.FALLBACK, facts.AFTER_TOOL, *facts.SYSTEM_PROMPTS, " ".join(noise.WORDS))
    yield from (facts.weather_call(parameter, "Paris") for parameter in facts.WEATHER_PARAMETERS)
    rng = random.Random(1)  # noqa: S311  # no secret
    yield from (noise.question(rng) for _ in range(200))


def train_tokenizer() -> Tokenizer:
    """The bare tokenizer, the same on every machine."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415

    tokenizer = Tokenizer(models.BPE())
    # What gives JSON its form is always a token of its own: under a grammar the model is led token by token, and meets
    # what it has learned only if there is one way to write it.
    form = pre_tokenizers.Split(Regex(r'["{}\[\]:,]'), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([form, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def with_chat_template(tokenizer: Tokenizer) -> Any:
    """The tokenizer as transformers and vLLM load it, with the chat template (`PreTrainedTokenizerFast`)."""
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        chat_template=CHAT_TEMPLATE,
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
    )
