"""A tiny model that answers, made on this machine, so that Penstock can be tried without a download.

`python -m penstock.demo DIRECTORY` makes it; `make up` and the tests call `make_demo_model`.
"""

from penstock.demo.embedding import embedding_model_path, link_embedding_model
from penstock.demo.making import is_made, make_demo_model

__all__ = ["embedding_model_path", "is_made", "link_embedding_model", "make_demo_model"]
