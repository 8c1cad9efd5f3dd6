"""Usage of requests, and its sums by hour and by day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "penstock_usage",
        sa.Column("uid", sa.LargeBinary(12), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("key_id", sa.String(255), nullable=False),
        sa.Column("team", sa.String(255), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("endpoint", sa.String(255), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("prompt", sa.Integer(), nullable=False),
        sa.Column("completion", sa.Integer(), nullable=False),
        sa.Column("cached", sa.Integer(), nullable=False),
        sa.Column("exact", sa.Boolean(), nullable=False),
        sa.Column("first_byte_ms", sa.Integer()),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("uid", name="pk_penstock_usage"),
    )
    op.create_index("ix_penstock_usage_at", "penstock_usage", ["at"])
    for table in ("penstock_usage_hours", "penstock_usage_days"):
        op.create_table(
            table,
            sa.Column("start", moment, nullable=False),
            sa.Column("key_id", sa.String(255), nullable=False),
            sa.Column("team", sa.String(255), nullable=False),
            sa.Column("model", sa.String(255), nullable=False),
            *(
                sa.Column(name, sa.BigInteger(), nullable=False)
                for name in ("requests", "failed", "guessed", "prompt", "completion", "cached")
            ),
            sa.PrimaryKeyConstraint("start", "key_id", "team", "model", name=f"pk_{table}"),
        )
