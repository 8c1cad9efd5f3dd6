"""How the store's tables come about, version by version. alembic reads this folder; `migrating` runs it.

A version that was released is never changed. A new one may only add what the gateways of the version before can live
with, because while a rollout lasts both use the store.
"""
