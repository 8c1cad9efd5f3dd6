"""Stores for the tests of usage."""

from support.stores import address, postgres_address, postgres_server

__all__ = ["address", "postgres_address", "postgres_server"]
