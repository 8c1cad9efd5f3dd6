"""Penstock: open-weight language models on your own hardware behind one OpenAI-compatible address."""

__version__ = "0.1.0"
