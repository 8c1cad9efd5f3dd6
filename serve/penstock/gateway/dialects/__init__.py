"""Other APIs at the same address: each translates a request to OpenAI's, has the gateway answer it, and translates the
answer back. Used by `app`, which knows of them only that a path may be one of theirs.

What a dialect asks of the gateway is an ordinary request, so keys, limits, usage, holding, trying again and hanging up
are what they are for every other.
"""
