"""The real engines that the simulator is compared with."""

from support.engines import embedding_server, vllm_server

__all__ = ["embedding_server", "vllm_server"]
