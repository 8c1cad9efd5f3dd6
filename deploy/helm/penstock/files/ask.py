"""Run by `helm test` in a pod: asks every model that is ready for an answer of its kind.

Arguments: the address, and the models that must be ready. Variables: ASKS_FOR_KEYS, not empty where nobody gets in
without a key, and KEY, a user's key, where the test has one.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

ADDRESS, *EXPECTED = sys.argv[1:]
ASKS_FOR_KEYS, KEY = (os.environ.get(name, "") for name in ("ASKS_FOR_KEYS", "KEY"))
CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 8}
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (("/v1/chat/completions", CHAT), ("/v1/embeddings", {"input": "yes"}))


def ask(path: str, body: dict[str, Any] | None = None, key: str = KEY) -> Any:
    """The answer's JSON. Raises HTTPError."""
    request = urllib.request.Request(ADDRESS + path, data=None if body is None else json.dumps(body).encode())
    request.add_header("content-type", "application/json")
    if key:
        request.add_header("authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)


def answers(model: str) -> bool:
    """Whether it answers on one of its endpoints."""
    refusals = []
    for path, body in KINDS:
        try:
            ask(path, {"model": model, **body})
        except urllib.error.HTTPError as error:
            refusals.append(f"{path}: {error.code} {error.read(300).decode(errors='replace')}")
        else:
            print(f"ok    {model} answers on {path}")
            return True
    print(f"FAIL  {model} answers on none of its endpoints:", *refusals, sep="\n      ")
    return False


def is_closed() -> bool:
    """Whether somebody without a key is refused."""
    try:
        ask("/v1/models", key="")
    except urllib.error.HTTPError as error:
        print(f"without a key {ADDRESS} answers {error.code}")
        return error.code == 401
    print(f"FAIL  {ADDRESS} answers without a key, and the values ask for one")
    return False


if ASKS_FOR_KEYS and not is_closed():
    sys.exit(1)
if ASKS_FOR_KEYS and not KEY:
    ask("/readyz")
    print("the address is ready; no model was asked, since secrets.test names no key to ask with")
    sys.exit(0)
ready = [model["id"] for model in ask("/v1/models")["data"] if model.get("ready", True)]
print(f"ready at {ADDRESS}: {', '.join(ready) or 'no model'}")
missing = [model for model in EXPECTED if model not in ready]
for model in missing:
    print(f"FAIL  {model} is not ready")
silent = [model for model in ready if not answers(model)]
sys.exit(bool(missing or silent))
