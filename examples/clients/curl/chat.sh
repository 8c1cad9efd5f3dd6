#!/usr/bin/env bash
# The same question in each dialect of the address, with curl. PENSTOCK_URL and PENSTOCK_API_KEY say where, and with which key.
set -euo pipefail
url=${PENSTOCK_URL:-http://localhost:8000}
key=${PENSTOCK_API_KEY:-none}
messages='[{"role": "user", "content": "What is the capital of France?"}]'

ask() {
    printf '\n== %s\n' "$1"
    curl --silent --show-error --fail-with-body --no-buffer "$url$2" \
        -H "$3" -H 'content-type: application/json' -d "$4"
    printf '\n'
}

ask 'OpenAI' /v1/chat/completions "authorization: Bearer $key" \
    '{"model": "demo", "temperature": 0, "max_tokens": 32, "messages": '"$messages"'}'
ask 'OpenAI, streamed' /v1/chat/completions "authorization: Bearer $key" \
    '{"model": "demo", "temperature": 0, "max_tokens": 32, "stream": true, "messages": '"$messages"'}'
ask 'Anthropic' /v1/messages "x-api-key: $key" \
    '{"model": "demo", "temperature": 0, "max_tokens": 32, "messages": '"$messages"'}'
ask 'Azure OpenAI' '/openai/deployments/demo/chat/completions?api-version=2024-10-21' "api-key: $key" \
    '{"temperature": 0, "max_tokens": 32, "messages": '"$messages"'}'
ask 'Serverless platforms' /api/v1/ai/chat/completions "authorization: Bearer $key" \
    '{"model": "demo", "temperature": 0, "maxTokens": 32, "messages": '"$messages"'}'
ask 'Ollama' /api/chat "authorization: Bearer $key" \
    '{"model": "demo", "options": {"temperature": 0, "num_predict": 32}, "messages": '"$messages"'}'
