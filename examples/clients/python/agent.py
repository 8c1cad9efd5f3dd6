"""An agent: the model calls a tool of ours, we run it, and the model answers with what it said. `pip install openai`"""

import json
import os
from datetime import UTC, datetime, timedelta, timezone

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("PENSTOCK_URL", "http://localhost:8000") + "/v1",
    api_key=os.environ.get("PENSTOCK_API_KEY", "none"),
)
ZONES = {"UTC": UTC, "CET": timezone(timedelta(hours=1))}


def get_time(zone: str) -> str:
    """The time of day in a zone."""
    return f"{datetime.now(ZONES[zone]):%H:%M} {zone}"


TOOLS = {"get_time": get_time}
DESCRIBED = [
    {
        "type": "function",
        "function": {
            "name": "get_time",
            "description": "The time of day in a zone.",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"zone": {"enum": list(ZONES)}},
                "required": ["zone"],
                "additionalProperties": False,
            },
        },
    }
]

messages = [{"role": "user", "content": "What time is it?"}]
# A larger model decides by itself whether to call something: leave tool_choice out, and repeat until it calls nothing.
step = client.chat.completions.create(
    model="demo", temperature=0, max_tokens=200, messages=messages, tools=DESCRIBED, tool_choice="required"
)
called = step.choices[0].message
messages.append(called.model_dump(include={"role", "content", "tool_calls"}, exclude_none=True))
for call in called.tool_calls or []:
    result = TOOLS[call.function.name](**json.loads(call.function.arguments))
    print(f"{call.function.name}({call.function.arguments}) -> {result}")
    messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
answer = client.chat.completions.create(model="demo", temperature=0, max_tokens=60, messages=messages)
print(answer.choices[0].message.content)
