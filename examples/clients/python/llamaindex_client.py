"""LlamaIndex: an answer, a stream, and a question about texts that are found by meaning.

`pip install llama-index-llms-openai-like llama-index-embeddings-openai-like`
"""

import os

from llama_index.core import Document, VectorStoreIndex
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

address = os.environ.get("PENSTOCK_URL", "http://localhost:8000") + "/v1"
key = os.environ.get("PENSTOCK_API_KEY", "none")
chat = OpenAILike(
    model="demo", api_base=address, api_key=key, is_chat_model=True, temperature=0, context_window=1024, max_tokens=64
)

print(chat.complete("What is the capital of France?"))

for piece in chat.stream_complete("What is the capital of France?"):
    print(piece.delta, end="", flush=True)
print()

vectors = OpenAILikeEmbedding(model_name="all-minilm-l6-v2", api_base=address, api_key=key)
texts = ["A penstock carries water to turbines.", "Bread rises because yeast makes gas of sugar."]
index = VectorStoreIndex.from_documents([Document(text=text) for text in texts], embed_model=vectors)
found = index.as_retriever(similarity_top_k=1).retrieve("How is dough made to grow?")
print(found[0].text)
