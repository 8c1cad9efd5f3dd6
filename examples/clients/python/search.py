"""A search by meaning: texts and a question become vectors, and the nearest text wins. `pip install openai`"""

import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("PENSTOCK_URL", "http://localhost:8000") + "/v1",
    api_key=os.environ.get("PENSTOCK_API_KEY", "none"),
)
TEXTS = [
    "A penstock carries water to the turbines of a power station.",
    "Bread rises because yeast makes gas of sugar.",
    "The Rhine flows from the Alps to the North Sea.",
]
QUESTION = "How is dough made to grow?"


def vectors(texts: list[str]) -> list[list[float]]:
    """Their vectors, each of length 1."""
    made = client.embeddings.create(model="all-minilm-l6-v2", input=texts)
    return [item.embedding for item in made.data]


*known, asked = vectors([*TEXTS, QUESTION])
likeness = [sum(a * b for a, b in zip(vector, asked, strict=True)) for vector in known]
for score, text in sorted(zip(likeness, TEXTS, strict=True), reverse=True):
    print(f"{score:.2f}  {text}")
