"""An OpenAI-speaking engine without a model: made-up tokens at a given pace, in vLLM's shapes.

It stands where vLLM's server process stands, as the child of an engine replica, and is started with
`python -m penstock.simulator`. It is for rehearsing a deployment, for load tests and for Penstock's own tests, so it
spends little per token: no web framework, chunks from parts that were encoded once, one timer for all streams.
`tests/simulator/test_simulator_agrees_with_vllm.py` holds its shapes to the real ones.

    arguments → server → app → {chat, completions, embeddings, responses, messages, tokenizing, information}
                                → {requests, answers, generation} → {asgi, errors, metrics, pace, words, instances}
"""
