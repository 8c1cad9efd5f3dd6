"""Limits and budgets of keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Keys that there are have those of every key. Gateways of the version before do not look at the column."""
    op.add_column("penstock_keys", sa.Column("limits", sa.JSON()))
