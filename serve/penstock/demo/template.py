"""The demo model's chat template and the special tokens in it. Used by `tokenizer`."""

from __future__ import annotations

END = "<|end|>"
"""Ends every message; generation stops here."""

ASSISTANT = "<|assistant|>"
PAD = "<|pad|>"
SPECIAL_TOKENS = (PAD, END, "<|system|>", "<|user|>", ASSISTANT, "<|tool|>", "<|tools|>")

# Contents may be text, a list of parts, or missing (an assistant that only calls tools). `developer` is the newer
# name of `system`. Of the tools only names and parameters are given: a tiny model reads no schemas.
CHAT_TEMPLATE = """\
{%- macro text_of(content) -%}
  {%- if content is string -%}{{ content }}
  {%- elif content is iterable and content is not mapping -%}
    {%- for part in content -%}
      {%- if part is string -%}{{ part }}
      {%- elif part is mapping and part.text is defined and part.text is string -%}{{ part.text }}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro -%}
{%- if tools -%}
  <|tools|>
  {%- for tool in tools -%}
    {%- set function = tool.function if tool.function is defined else tool -%}
    {{- function.name }}({%- if function.parameters is mapping and function.parameters.properties is mapping -%}
      {{- function.parameters.properties.keys() | join(", ") -}}
    {%- endif -%}){%- if not loop.last %}, {% endif -%}
  {%- endfor -%}
  <|end|>
{%- endif -%}
{%- for message in messages -%}
  {%- set role = "system" if message.role in ["system", "developer"] else message.role -%}
  {%- set role = "tool" if role == "function" else role -%}
  {{- "<|" ~ (role if role in ["system", "user", "assistant", "tool"] else "user") ~ "|>" -}}
  {{- text_of(message.content) -}}
  {%- if message.tool_calls -%}
    {%- for call in message.tool_calls -%}
      {%- set function = call.function if call.function is defined else call -%}
      {{- '<tool_call>\\n{"name": "' ~ function.name ~ '", "arguments": ' -}}
      {{- function.arguments if function.arguments is string else function.arguments | tojson -}}
      {{- '}\\n</tool_call>' -}}
    {%- endfor -%}
  {%- endif -%}
  <|end|>
{%- endfor -%}
{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}
"""
