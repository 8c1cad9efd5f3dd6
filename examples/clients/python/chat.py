"""OpenAI's client for Python: an answer, then the same one as a stream. `pip install openai`"""

import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("PENSTOCK_URL", "http://localhost:8000") + "/v1",
    api_key=os.environ.get("PENSTOCK_API_KEY", "none"),
)
question = [{"role": "user", "content": "What is the capital of France?"}]

answer = client.chat.completions.create(model="demo", temperature=0, messages=question)
print(answer.choices[0].message.content)

for chunk in client.chat.completions.create(model="demo", temperature=0, messages=question, stream=True):
    print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
