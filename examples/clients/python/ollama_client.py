"""Ollama's client for Python: an answer, then the same one as a stream. `pip install ollama`"""

import os

from ollama import Client

client = Client(
    host=os.environ.get("PENSTOCK_URL", "http://localhost:8000"),
    headers={"authorization": f"Bearer {os.environ.get('PENSTOCK_API_KEY', 'none')}"},
)
question = [{"role": "user", "content": "What is the capital of France?"}]

answer = client.chat(model="demo", messages=question, options={"temperature": 0})
print(answer.message.content)

for part in client.chat(model="demo", messages=question, options={"temperature": 0}, stream=True):
    print(part.message.content or "", end="", flush=True)
print()
