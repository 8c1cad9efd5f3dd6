"""What the gateways' cache had for requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Requests that there are never asked it. Gateways of the version before go on writing without the columns."""
    op.add_column("penstock_usage", sa.Column("cache", sa.String(8), nullable=False, server_default=""))
    for table in ("penstock_usage_hours", "penstock_usage_days"):
        op.add_column(table, sa.Column("cache_hits", sa.BigInteger(), nullable=False, server_default="0"))
