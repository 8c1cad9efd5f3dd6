"""LangChain: an answer, a stream, and a vector. `pip install langchain-openai`"""

import os

from langchain_openai import ChatOpenAI, OpenAIEmbeddings

address = os.environ.get("PENSTOCK_URL", "http://localhost:8000") + "/v1"
key = os.environ.get("PENSTOCK_API_KEY", "none")
chat = ChatOpenAI(model="demo", base_url=address, api_key=key, temperature=0)

print(chat.invoke("What is the capital of France?").content)

for chunk in chat.stream("What is the capital of France?"):
    print(chunk.content, end="", flush=True)
print()

# Its own tokenizer is of OpenAI's models: texts are sent as they are.
embeddings = OpenAIEmbeddings(model="all-minilm-l6-v2", base_url=address, api_key=key, check_embedding_ctx_length=False)
print(f"{len(embeddings.embed_query('Paris'))} numbers")
