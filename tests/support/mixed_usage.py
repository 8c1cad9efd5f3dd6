"""Two thousand requests of all kinds, as clients send them who know what they want, do not, or leave. For tests that
compare what a gateway counted with what engines did.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any, NamedTuple

import httpx

CLIENTS = 24


class Plan(NamedTuple):
    """One request."""

    path: str
    body: dict[str, Any]
    leaves_after: int | None = None
    """Lines of the answer after which the client is gone, 0 for before the first; None where it stays."""


def plans(count: int, seed: int) -> list[Plan]:
    """The same for the same seed."""
    chosen = random.Random(seed)
    return [_plan(chosen) for _ in range(count)]


async def send_all(url: str, wanted: list[Plan], headers: dict[str, str]) -> Counter[str]:
    """Send them, many at once. Returns how many ended how: by status, `left`, or `again` where a client that had left
    sent the same again."""
    ends: Counter[str] = Counter()
    rest = iter(list(enumerate(wanted)))

    async def work() -> None:
        # A connection of its own for each, so that one who leaves disturbs no other; certificates would take longer to
        # load than answers to come.
        for number, plan in rest:
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=300, verify=False) as client:
                ends[await _send(client, plan)] += 1
                if plan.leaves_after is not None and number % 2:
                    await _send(client, plan._replace(leaves_after=None))
                    ends["again"] += 1

    await asyncio.gather(*(work() for _ in range(CLIENTS)))
    return ends


async def _send(client: httpx.AsyncClient, plan: Plan) -> str:
    if plan.leaves_after is None:
        answer = await client.post(plan.path, json=plan.body)
        return str(answer.status_code)
    if plan.leaves_after == 0:
        task = asyncio.ensure_future(client.post(plan.path, json=plan.body))
        await asyncio.wait([task], timeout=0.01 + 0.1 * random.Random(str(plan)).random())
        task.cancel()
        await asyncio.wait([task])
        return "left"
    async with client.stream("POST", plan.path, json=plan.body) as answer:
        lines = 0
        async for _ in answer.aiter_lines():
            lines += 1
            if lines >= plan.leaves_after:
                return "left"
    return str(answer.status_code)


def _plan(chosen: random.Random) -> Plan:
    words = " ".join(chosen.choice(["river", "water", "stone", "wheel", "mill"]) for _ in range(chosen.randint(1, 12)))
    tokens = chosen.choice([1, 2, 5, 9, 16])
    kind = chosen.choices(
        ["chat", "completion", "message", "response", "refused", "leaves"], weights=[30, 20, 8, 8, 10, 24]
    )[0]
    if kind == "refused":
        return chosen.choice(
            [
                Plan("/v1/chat/completions", {"model": "nothing", "messages": []}),
                Plan("/v1/chat/completions", {"model": "demo", "messages": _said(words), "max_tokens": -1}),
                Plan("/v1/completions", {"model": "demo", "prompt": words, "temperature": 9}),
                Plan("/v1/completions", {"model": "demo", "prompt": words, "max_tokens": 10**6}),
            ]
        )
    plan = _working(chosen, kind, words, tokens)
    if kind != "leaves":
        return plan
    streams = bool(plan.body.get("stream"))
    return plan._replace(leaves_after=chosen.choice([0, 1, 2, 5, 9, 20]) if streams else 0)


def _working(chosen: random.Random, kind: str, words: str, tokens: int) -> Plan:
    stream = chosen.random() < 0.5
    if kind == "leaves":
        tokens, stream = chosen.choice([40, 80, 200]), chosen.random() < 0.8
        kind = chosen.choice(["chat", "chat", "completion", "message", "response"])
    body: dict[str, Any] = {"model": "demo", "stream": stream}
    if kind == "message":
        return Plan("/v1/messages", {**body, "messages": _said(words), "max_tokens": tokens})
    if kind == "response":
        return Plan("/v1/responses", {**body, "input": words, "max_output_tokens": tokens})
    if stream:
        options = chosen.choice([None, {"include_usage": True}, {"include_usage": False}, {}])
        body |= {} if options is None else {"stream_options": options}
    if kind == "chat":
        return Plan("/v1/chat/completions", {**body, "messages": _said(words), "max_tokens": tokens})
    prompt = chosen.choice([words, [words, "The sea"]])
    return Plan("/v1/completions", {**body, "prompt": prompt, "max_tokens": tokens})


def _said(words: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": words}]
