"""Trains the demo model: a Llama of less than half a million parameters, from nothing, reproducibly.

Used by `making`. Imports torch and transformers where they are used: they come with an engine, not with Penstock.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from penstock.demo import conversations, facts
from penstock.demo.conversations import Conversation
from penstock.demo.template import ASSISTANT, END, PAD
from penstock.demo.tokenizer import MAX_LENGTH

Tokens = list[int]


@dataclass(frozen=True)
class Recipe:
    """What the weights follow from, together with the code of this package."""

    hidden: int = 128
    layers: int = 2
    heads: int = 4
    """Heads of 32, the smallest that vLLM's attention on a CPU supports."""
    feed_forward: int = 256
    steps: int = 440
    rows: int = 4
    """Rows of one step."""
    row: int = 256
    """Tokens of a row: several conversations that do not see each other, so that nothing is computed for padding."""
    rate: float = 4e-3
    warm_up: int = 30
    memory: float = 0.985
    """The model that counts is a running mean of the weights: small batches make the last ones noisy."""
    revisions: int = 6
    """At most so often are the questions that it still misses taught again. Machines round differently, and with them
    differs what is learned last."""
    revision_steps: int = 25
    revision_rate: float = 0.15
    """As a share of `rate`."""
    seed: int = 7


class Sample(NamedTuple):
    """A conversation as tokens; `labels` is -100 where nothing is learned, `weights` 0."""

    tokens: Tokens
    labels: Tokens
    weights: list[float]


class Row(NamedTuple):
    """Several conversations one after the other. `numbers` tells them apart, `positions` begin anew with each."""

    tokens: Tokens
    labels: Tokens
    weights: list[float]
    numbers: Tokens
    positions: Tokens


def encode(tokenizer: Any, conversation: Conversation) -> Sample:
    """Tokens as vLLM makes them of the same conversation: the template's prompt, then the answer and its end."""
    prompt = ""
    if conversation.messages:
        prompt = tokenizer.apply_chat_template(
            conversation.messages, tools=conversation.tools or None, tokenize=False, add_generation_prompt=True
        )
    tokens: Tokens = tokenizer.encode(prompt, add_special_tokens=False)
    end = tokenizer.convert_tokens_to_ids(END)
    labels = _earlier_answers(tokens, begin=tokenizer.convert_tokens_to_ids(ASSISTANT), end=end)
    for piece in conversation.answer:
        added = tokenizer.encode(piece.text, add_special_tokens=False)
        tokens += added
        labels += added if piece.learned else [-100] * len(added)
    tokens.append(end)
    labels.append(end)
    # A token of a long answer weighs less: what matters is how an answer begins.
    weight = sum(label != -100 for label in labels) ** -0.5
    return Sample(tokens, labels, [0.0 if label == -100 else weight for label in labels])


def _earlier_answers(tokens: Tokens, *, begin: int, end: int) -> Tokens:
    """Labels of a prompt: the answers in it are learned as well, since they are computed anyway."""
    labels: Tokens = []
    within = False
    for token in tokens:
        labels.append(token if within else -100)
        within = token == begin or (within and token != end)
    return labels


def train(tokenizer: Any, recipe: Recipe, report: Callable[[float], None]) -> Any:
    """The trained model (`LlamaForCausalLM`, bfloat16). `report` gets the share that is done, 0 to 1."""
    import torch  # noqa: PLC0415

    with _reproducible(recipe.seed):
        model = _untrained(tokenizer, recipe)
        smooth = copy.deepcopy(model)
        optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.01)

        def learn(rows: list[Row], rate: float) -> None:
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate * rate
            loss = _loss(model, rows)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            with torch.no_grad():
                torch._foreach_lerp_(list(smooth.parameters()), list(model.parameters()), 1 - recipe.memory)

        rng = random.Random(recipe.seed)  # noqa: S311  # no secret
        fresh = _rows(tokenizer, recipe, lambda: conversations.draw(rng))
        for step in range(recipe.steps):
            learn([next(fresh) for _ in range(recipe.rows)], rate_at(step, recipe))
            report((step + 1) / (recipe.steps + 1))
        for _ in range(recipe.revisions):
            missed = unlearned(_finished(smooth), tokenizer)
            if not missed:
                break
            repeated = _rows(tokenizer, recipe, partial(rng.choice, missed))
            for _ in range(recipe.revision_steps):
                rows = [next(repeated), *(next(fresh) for _ in range(recipe.rows - 1))]
                learn(rows, recipe.revision_rate)
        report(1.0)
        return _finished(smooth)


def unlearned(model: Any, tokenizer: Any) -> list[Conversation]:
    """The known questions, alone and after a system prompt, that the model answers wrongly at temperature 0."""
    import torch  # noqa: PLC0415

    pad = tokenizer.convert_tokens_to_ids(PAD)
    missed: list[Conversation] = []
    for fact in facts.FACTS:
        asked = [
            Conversation([*system, {"role": "user", "content": question}], [conversations.Piece(fact.answer)])
            for question in fact.questions
            for system in ([], [{"role": "system", "content": facts.SYSTEM_PROMPTS[0]}])
        ]
        samples = [encode(tokenizer, conversation) for conversation in asked]
        width = max(len(sample.tokens) for sample in samples)
        # Without a mask: padding stands behind the end, where a causal model does not look.
        tokens = torch.tensor([sample.tokens + [pad] * (width - len(sample.tokens)) for sample in samples])
        wanted = torch.tensor([sample.labels + [-100] * (width - len(sample.tokens)) for sample in samples])[:, 1:]
        with torch.inference_mode():
            guesses = model(input_ids=tokens).logits.argmax(-1)[:, :-1]
        right = ((guesses == wanted) | (wanted == -100)).all(1).tolist()
        missed += [conversation for conversation, known in zip(asked, right, strict=True) if not known]
    return missed


def _finished(model: Any) -> Any:
    """A copy with the weights as they are written and served."""
    import torch  # noqa: PLC0415

    return copy.deepcopy(model).to(torch.bfloat16).eval()


def rate_at(step: int, recipe: Recipe) -> float:
    """Share of the learning rate at a step: up in a line, down along a cosine to a fiftieth."""
    if step < recipe.warm_up:
        return (step + 1) / recipe.warm_up
    done = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))


def _loss(model: Any, rows: list[Row]) -> Any:
    """Cross entropy where something is learned, and only there: the rest is not worth its products."""
    import torch  # noqa: PLC0415

    numbers = torch.tensor([row.numbers for row in rows])
    seen = (numbers[:, None, :, None] == numbers[:, None, None, :]).tril()
    hidden = model.model(
        input_ids=torch.tensor([row.tokens for row in rows]),
        position_ids=torch.tensor([row.positions for row in rows]),
        attention_mask=torch.zeros(seen.shape).masked_fill_(~seen, torch.finfo(torch.float32).min),
    ).last_hidden_state
    # The last token of a conversation is not followed by one of its own, and the first one of each is not learned.
    wanted = torch.tensor([row.labels for row in rows])[:, 1:]
    learned = wanted != -100
    weights = torch.tensor([row.weights for row in rows])[:, 1:][learned]
    logits = model.lm_head(hidden[:, :-1][learned])
    losses = torch.nn.functional.cross_entropy(logits, wanted[learned], reduction="none")
    return (losses * weights).sum() / weights.sum()


def _rows(tokenizer: Any, recipe: Recipe, draw: Callable[[], Conversation]) -> Iterator[Row]:
    """Endless rows, each of as many conversations as it holds; the last one is cut off."""
    while True:
        row = Row([], [], [], [], [])
        number = 0
        while len(row.tokens) < recipe.row:
            sample = encode(tokenizer, draw())
            length = len(sample.tokens)
            row.tokens.extend(sample.tokens)
            row.labels.extend([-100, *sample.labels[1:]])
            row.weights.extend(sample.weights)
            row.numbers.extend([number] * length)
            row.positions.extend(range(length))
            number += 1
        cut = slice(recipe.row)
        yield Row(row.tokens[cut], row.labels[cut], row.weights[cut], row.numbers[cut], row.positions[cut])


def _untrained(tokenizer: Any, recipe: Recipe) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=MAX_LENGTH,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids(END),
        pad_token_id=tokenizer.convert_tokens_to_ids(PAD),
    )
    return LlamaForCausalLM(config)


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """The same numbers on every run: a fixed seed, and one thread, since the order of sums depends on their number.

    Both are as before afterwards.
    """
    import torch  # noqa: PLC0415

    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
