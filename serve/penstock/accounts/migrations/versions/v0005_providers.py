"""Which requests a provider answered, and what requests cost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Requests that there are stayed here, and were counted without their cost. Gateways of the version before go on
    writing without the columns."""
    op.add_column("penstock_usage", sa.Column("provider", sa.String(32), nullable=False, server_default=""))
    op.add_column("penstock_usage", sa.Column("fallback", sa.String(16), nullable=False, server_default=""))
    op.add_column("penstock_usage", sa.Column("cost", sa.BigInteger(), nullable=False, server_default="0"))
    for table in ("penstock_usage_hours", "penstock_usage_days"):
        op.add_column(table, sa.Column("provided", sa.BigInteger(), nullable=False, server_default="0"))
        op.add_column(table, sa.Column("cost", sa.BigInteger(), nullable=False, server_default="0"))
