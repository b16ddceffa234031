"""Configuration over event time; vehicles that wait to be judged anew; signals without a position; dispatch credentials."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add what is new; what is stored stays as it is. An empty `configuration` means that what is in force always was."""
    _configuration()
    op.create_table(
        "waiting",
        sa.Column("vehicle_id", ID, autoincrement=False, nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["vehicle_id"], ["vehicle.id"], name=op.f("fk_waiting_vehicle_id")),
        sa.PrimaryKeyConstraint("vehicle_id", name=op.f("pk_waiting")),
    )
    rebuilt = op.get_bind().dialect.name == "sqlite"  # it can neither alter a column nor put one between others
    place: Any = {"insert_after": "unit"} if rebuilt else {}
    with op.batch_alter_table("signal", recreate="always" if rebuilt else "never") as signal:
        signal.alter_column("lon", existing_type=sa.Double(), nullable=True)
        signal.alter_column("lat", existing_type=sa.Double(), nullable=True)
        signal.add_column(sa.Column("detail", sa.Text(), nullable=True), **place)
    place = {"insert_after": "kind"} if rebuilt else {}
    with op.batch_alter_table("credential", recreate="always" if rebuilt else "never") as credential:
        credential.add_column(sa.Column("role", sa.String(length=8), server_default=sa.text("'device'"), nullable=False), **place)
        credential.create_check_constraint(op.f("ck_credential_role"), "role IN ('device', 'dispatch')")


def downgrade() -> None:
    """Refuse: evidence is not dropped."""
    raise NotImplementedError("what this schema holds has no place in the one before")


def _configuration() -> None:
    """What was in force, and when."""
    op.create_table(
        "configuration",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.String(length=13), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=True),
        sa.Column("valid_until", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("recorded", sa.BigInteger(), nullable=False),
        sa.Column("applied", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('settings', 'place', 'route', 'trip', 'authorization', 'lockdown')", name=op.f("ck_configuration_kind")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_configuration")),
    )
    pending = sa.text("applied = 0")
    op.create_index(
        "ix_configuration_pending",
        "configuration",
        ["id"],
        unique=False,
        sqlite_where=pending,
        postgresql_where=sa.text("NOT applied"),
    )
