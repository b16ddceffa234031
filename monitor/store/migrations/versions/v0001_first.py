"""The first schema: positions, signals, incidents, notices, the journal, credentials."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table, and the head of an empty journal."""
    _positions()
    _rejects()
    _signals()
    _incidents()
    _escalation()
    _notices()
    _attempts()
    _record()
    head = sa.table("journal_head", sa.column("id"), sa.column("seq"), sa.column("hash"))
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])


def downgrade() -> None:
    """Refuse: evidence is not dropped."""
    raise NotImplementedError("there is nothing before the first schema")


def _positions() -> None:
    """What vehicles sent."""
    op.create_table(
        "vehicle",
        sa.Column("id", ID, nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vehicle")),
        sa.UniqueConstraint("carrier", "name", name=op.f("uq_vehicle_carrier_name")),
    )
    op.create_table(
        "fix",
        sa.Column("vehicle_id", ID, autoincrement=False, nullable=False),
        sa.Column("time", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lon", sa.Double(), nullable=True),
        sa.Column("lat", sa.Double(), nullable=True),
        sa.Column("speed", sa.Double(), nullable=True),
        sa.Column("heading", sa.Double(), nullable=True),
        sa.Column("accuracy", sa.Double(), nullable=True),
        sa.Column("ignition", sa.Integer(), nullable=True),
        sa.Column("door", sa.Integer(), nullable=True),
        sa.Column("alarms", sa.BigInteger(), nullable=False),
        sa.Column("quality", sa.Integer(), nullable=False),
        sa.Column("late", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["vehicle_id"], ["vehicle.id"], name=op.f("fk_fix_vehicle_id")),
        sa.PrimaryKeyConstraint("vehicle_id", "time", "digest", name=op.f("pk_fix")),
        sqlite_with_rowid=False,
    )


def _rejects() -> None:
    """What was refused, and where each vehicle's row of state stood."""
    op.create_table(
        "reject",
        sa.Column("id", ID, nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reject")),
    )
    op.create_table(
        "checkpoint",
        sa.Column("vehicle_id", ID, autoincrement=False, nullable=False),
        sa.Column("frontier", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["vehicle_id"], ["vehicle.id"], name=op.f("fk_checkpoint_vehicle_id")),
        sa.PrimaryKeyConstraint("vehicle_id", "frontier", name=op.f("pk_checkpoint")),
    )


def _signals() -> None:
    """What the detectors say."""
    op.create_table(
        "signal",
        sa.Column("id", ID, nullable=False),
        sa.Column("vehicle_id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=True),
        sa.Column("route", sa.Text(), nullable=True),
        sa.Column("trip", sa.Text(), nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("presumed", sa.Boolean(), nullable=False),
        sa.Column("lon", sa.Double(), nullable=False),
        sa.Column("lat", sa.Double(), nullable=False),
        sa.Column("measure", sa.Double(), nullable=False),
        sa.Column("limit", sa.Double(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("raised", sa.BigInteger(), nullable=False),
        sa.Column("decided", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("late_by", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("withdrawn_reason", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("state IN ('open', 'closed', 'withdrawn')", name=op.f("ck_signal_state")),
        sa.ForeignKeyConstraint(["vehicle_id"], ["vehicle.id"], name=op.f("fk_signal_vehicle_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signal")),
    )
    is_open = sa.text("state = 'open'")
    op.create_index("ix_signal_open", "signal", ["vehicle_id"], unique=False, sqlite_where=is_open, postgresql_where=is_open)
    op.create_index(op.f("ix_signal_vehicle_id_decided"), "signal", ["vehicle_id", "decided"], unique=False)


def _incidents() -> None:
    """What people handle."""
    op.create_table(
        "incident",
        sa.Column("id", ID, nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("clear", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("cleared_at", sa.BigInteger(), nullable=True),
        sa.Column("withdrawn", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_until", sa.BigInteger(), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("facts", sa.JSON(none_as_null=True), nullable=True),
        sa.CheckConstraint("state IN ('open', 'acknowledged', 'resolved')", name=op.f("ck_incident_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
    )
    op.create_index(op.f("ix_incident_carrier_vehicle_state"), "incident", ["carrier", "vehicle", "state"], unique=False)
    op.create_index(op.f("ix_incident_state"), "incident", ["state"], unique=False)


def _escalation() -> None:
    """Which signals made an incident, and how it escalates."""
    op.create_table(
        "incident_signal",
        sa.Column("incident_id", ID, autoincrement=False, nullable=False),
        sa.Column("signal_id", ID, autoincrement=False, nullable=False),
        sa.Column("link", sa.String(length=6), nullable=False),
        sa.CheckConstraint("link IN ('joined', 'linked')", name=op.f("ck_incident_signal_link")),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_incident_signal_incident_id")),
        sa.ForeignKeyConstraint(["signal_id"], ["signal.id"], name=op.f("fk_incident_signal_signal_id")),
        sa.PrimaryKeyConstraint("incident_id", "signal_id", name=op.f("pk_incident_signal")),
    )
    op.create_index(op.f("ix_incident_signal_signal_id"), "incident_signal", ["signal_id"], unique=False)
    op.create_table(
        "escalation_run",
        sa.Column("incident_id", ID, autoincrement=False, nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("step", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("loops", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("state IN ('running', 'stopped', 'exhausted')", name=op.f("ck_escalation_run_state")),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_escalation_run_incident_id")),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_escalation_run")),
    )
    op.create_index(op.f("ix_escalation_run_next_at"), "escalation_run", ["next_at"], unique=False)


def _notices() -> None:
    """What is told to whom."""
    op.create_table(
        "notice",
        sa.Column("id", ID, nullable=False),
        sa.Column("incident_id", ID, nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("severity", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('queued', 'leased', 'sent', 'failed', 'suppressed', 'unknown')", name=op.f("ck_notice_state")
        ),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_notice_incident_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("key", name=op.f("uq_notice_key")),
    )
    op.create_index(op.f("ix_notice_incident_id"), "notice", ["incident_id"], unique=False)
    op.create_index(op.f("ix_notice_state_next_at"), "notice", ["state", "next_at"], unique=False)


def _attempts() -> None:
    """Each try at telling it."""
    op.create_table(
        "attempt",
        sa.Column("id", ID, nullable=False),
        sa.Column("notice_id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=9), nullable=False),
        sa.Column("detail", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("outcome IN ('sent', 'temporary', 'permanent', 'unknown')", name=op.f("ck_attempt_outcome")),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name=op.f("fk_attempt_notice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
    )
    op.create_index(op.f("ix_attempt_notice_id"), "attempt", ["notice_id"], unique=False)


def _record() -> None:
    """The journal, and who may connect."""
    op.create_table(
        "journal",
        sa.Column("seq", ID, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_journal")),
    )
    op.create_table(
        "journal_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_journal_head_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_head")),
    )
    op.create_table(
        "credential",
        sa.Column("id", ID, nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=True),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('token', 'password')", name=op.f("ck_credential_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential")),
    )
    op.create_index(op.f("ix_credential_carrier_vehicle"), "credential", ["carrier", "vehicle"], unique=False)
