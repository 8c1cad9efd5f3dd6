"""Providers that are known by name: where their OpenAI-compatible address is, and what is particular about it.

`{resource}` and `{region}` stand for what only the customer knows. Used by `providers`.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

KeyHeader = Literal["authorization", "api-key", "x-api-key"]

CHAT: Final = "/v1/chat/completions"
COMPLETIONS: Final = "/v1/completions"
EMBEDDINGS: Final = "/v1/embeddings"
RESPONSES: Final = "/v1/responses"

ENDPOINTS: Final = (CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES)
"""What a provider can be asked for at all: what has the model's name in a JSON object, in OpenAI's words."""


class Preset(NamedTuple):
    """One provider."""

    base_url: str
    endpoints: tuple[str, ...] = (CHAT, EMBEDDINGS)
    key_header: KeyHeader = "authorization"
    stream_usage: bool = True
    """Whether it takes `stream_options` and tells a stream's usage where they ask for it."""


PresetName = Literal[
    "openai", "azure-openai", "anthropic", "google-gemini", "alibaba-qwen", "mistral", "together", "fireworks", "groq",
    "hugging-face", "aws-bedrock",
]  # fmt: skip

PRESETS: Final[dict[PresetName, Preset]] = {
    "openai": Preset("https://api.openai.com/v1", ENDPOINTS),
    "azure-openai": Preset("https://{resource}.openai.azure.com/openai/v1", ENDPOINTS, "api-key"),
    "anthropic": Preset("https://api.anthropic.com/v1", (CHAT,)),
    "google-gemini": Preset("https://generativelanguage.googleapis.com/v1beta/openai"),
    "alibaba-qwen": Preset("https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
    # It refuses what it does not know, and tells a stream's usage without being asked.
    "mistral": Preset("https://api.mistral.ai/v1", stream_usage=False),
    "together": Preset("https://api.together.xyz/v1", (CHAT, COMPLETIONS, EMBEDDINGS)),
    "fireworks": Preset("https://api.fireworks.ai/inference/v1", (CHAT, COMPLETIONS, EMBEDDINGS)),
    "groq": Preset("https://api.groq.com/openai/v1", (CHAT,)),
    "hugging-face": Preset("https://router.huggingface.co/v1", (CHAT,)),
    "aws-bedrock": Preset("https://bedrock-runtime.{region}.amazonaws.com/openai/v1", (CHAT,)),
}
