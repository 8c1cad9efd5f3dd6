"""Run by `helm test` in a pod: asks the address for its models, and one that is ready for an answer of each of its kinds."""

import json
import sys
import urllib.error
import urllib.request

ADDRESS = sys.argv[1]
CHAT = {"messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 8}
KINDS = (("/v1/chat/completions", CHAT), ("/v1/embeddings", {"input": "yes"}))


def ask(path, body=None):
    request = urllib.request.Request(ADDRESS + path, data=None if body is None else json.dumps(body).encode())
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)


def answers(model):
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


models = [model["id"] for model in ask("/v1/models")["data"] if model.get("ready", True)]
print(f"ready at {ADDRESS}: {', '.join(models) or 'no model'}")
sys.exit(not all([answers(model) for model in models]))
