"""Devices behind gateways, sequence numbers, findings, the archive; messages about the monitor itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add what is new; what is stored stays as it is."""
    _rejects()
    _devices()
    _findings()
    _archive()
    _commits()
    if op.get_bind().dialect.name == "postgresql":
        _partitions()
    with op.batch_alter_table("notice") as notice:
        notice.alter_column("incident_id", existing_type=ID, nullable=True)
        for name in ("kind", "severity"):  # SQLite rebuilds the table, and would put their default into brackets
            notice.alter_column(name, existing_type=sa.Text(), server_default=sa.text("''"))
    with op.batch_alter_table("credential") as credential:
        credential.drop_constraint(op.f("ck_credential_kind"), type_="check")
        credential.alter_column("kind", existing_type=sa.String(length=8), type_=sa.String(length=16), existing_nullable=False)
        credential.alter_column("kind", existing_type=sa.String(length=8), type_=sa.String(length=11), existing_nullable=False)
        credential.create_check_constraint(op.f("ck_credential_kind"), "kind IN ('token', 'password', 'certificate')")


def downgrade() -> None:
    """Refuse: evidence is not dropped."""
    raise NotImplementedError("what this schema holds has no place in the one before")


def _rejects() -> None:
    """Which rejects wait for their device to be adopted."""
    op.add_column("reject", sa.Column("device", sa.Text(), nullable=True))
    op.add_column("reject", sa.Column("released", sa.BigInteger(), nullable=True))
    waits = sa.text("device IS NOT NULL AND released IS NULL")
    op.create_index(
        "ix_reject_quarantined", "reject", ["carrier", "device"], unique=False, sqlite_where=waits, postgresql_where=waits
    )


def _devices() -> None:
    """Which device is which vehicle, what of each arrived, and what it last said of itself."""
    op.create_table(
        "device",
        sa.Column("id", ID, nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=False),
        sa.Column("adopted", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device")),
    )
    in_force = sa.text("ended IS NULL")
    op.create_index(
        "ix_device_in_force", "device", ["carrier", "device"], unique=True, sqlite_where=in_force, postgresql_where=in_force
    )
    op.create_table(
        "received",
        sa.Column("vehicle_id", ID, autoincrement=False, nullable=False),
        sa.Column("boot", sa.Text(), nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=False),
        sa.Column("missing", sa.Text(), nullable=False),
        sa.Column("highest", sa.BigInteger(), nullable=False),
        sa.Column("heard", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["vehicle_id"], ["vehicle.id"], name=op.f("fk_received_vehicle_id")),
        sa.PrimaryKeyConstraint("vehicle_id", "boot", name=op.f("pk_received")),
    )
    op.create_table(
        "status",
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("carrier", "vehicle", name=op.f("pk_status")),
    )


def _findings() -> None:
    """What somebody should look into."""
    op.create_table(
        "finding",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("closed", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding")),
    )
    still_open = sa.text("closed IS NULL")
    op.create_index(
        "ix_finding_open",
        "finding",
        ["kind", "carrier", "subject"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )


def _archive() -> None:
    """Which files hold what left the database, and of which vehicles there is any."""
    op.add_column("vehicle", sa.Column("archived", sa.BigInteger(), nullable=True))
    op.create_table(
        "archived",
        sa.Column("id", ID, nullable=False),
        sa.Column("date", sa.Text(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("fixes", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("written", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archived")),
    )
    op.create_index(op.f("ix_archived_carrier_last"), "archived", ["carrier", "last"], unique=False)


def _commits() -> None:
    """What each writer on a server last committed."""
    op.create_table(
        "last_commit",
        sa.Column("writer", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("writer", name=op.f("pk_last_commit")),
    )


def _partitions() -> None:
    """On a server the fixes lie in partitions of event time; what is there lies in one, until it goes to the archive."""
    op.rename_table("fix", "fix_before")
    op.execute("ALTER INDEX pk_fix RENAME TO pk_fix_before")
    op.create_table(
        "fix",
        sa.Column("vehicle_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("time", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lon", sa.Double(), nullable=True),
        sa.Column("lat", sa.Double(), nullable=True),
        sa.Column("speed", sa.REAL(), nullable=True),
        sa.Column("heading", sa.REAL(), nullable=True),
        sa.Column("accuracy", sa.REAL(), nullable=True),
        sa.Column("ignition", sa.SmallInteger(), nullable=True),
        sa.Column("door", sa.SmallInteger(), nullable=True),
        sa.Column("alarms", sa.BigInteger(), nullable=False),
        sa.Column("quality", sa.SmallInteger(), nullable=False),
        sa.Column("late", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("vehicle_id", "time", "digest", name=op.f("pk_fix")),
        postgresql_partition_by="RANGE (time)",
    )
    old, far = 1_420_070_400_000, 7_258_118_400_000  # 2015 and 2200
    op.execute(f"CREATE TABLE fix_old PARTITION OF fix FOR VALUES FROM (MINVALUE) TO ({old})")
    op.execute(f"CREATE TABLE fix_far PARTITION OF fix FOR VALUES FROM ({far}) TO (MAXVALUE)")
    first, last = op.get_bind().execute(sa.text("SELECT min(time), max(time) FROM fix_before")).one()
    begin, end = (max(old, min(far, bound)) for bound in (first, last + 1)) if first is not None else (old, old)
    if begin < end:
        op.execute(f"CREATE TABLE fix_until_{end} PARTITION OF fix FOR VALUES FROM ({begin}) TO ({end})")
    op.execute("INSERT INTO fix SELECT * FROM fix_before")
    op.drop_table("fix_before")
