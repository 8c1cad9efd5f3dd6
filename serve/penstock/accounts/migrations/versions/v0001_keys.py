"""Keys, their hashes, and the log of changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "penstock_keys",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("owner", sa.String(63), nullable=False),
        sa.Column("models", sa.JSON(), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("expires", moment),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_penstock_keys"),
        sa.UniqueConstraint("name", name="uq_penstock_keys_name"),
    )
    op.create_table(
        "penstock_key_hashes",
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("retires", moment),
        sa.PrimaryKeyConstraint("digest", name="pk_penstock_key_hashes"),
        sa.ForeignKeyConstraint(
            ["key_id"], ["penstock_keys.id"], name="fk_penstock_key_hashes_key_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_penstock_key_hashes_key_id", "penstock_key_hashes", ["key_id"])
    op.create_table(
        "penstock_audit",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_penstock_audit"),
    )
    op.create_index("ix_penstock_audit_key_id", "penstock_audit", ["key_id"])
