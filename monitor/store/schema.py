"""The tables of the monitor's database.

Instants are whole milliseconds since 1970 UTC, positions degrees WGS 84, speeds m/s. Unknown is NULL, never 0. Nothing that is
evidence is deleted or edited: signals are withdrawn, credentials revoked, and the journal only grows. The vehicle codes of a
process are never stored; `vehicle.id` is the database's own.

A change here comes with a revision in `migrations/versions` and a new `REVISION`.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.types import TypeEngine

REVISION = "0003"
"""The newest revision of the migrations: the schema that this file describes."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = BigInteger().with_variant(Integer, "sqlite")
"""A database's own number of a row; SQLite counts by itself only where the type is INTEGER."""
Single: TypeEngine[float] = Double().with_variant(REAL(), "postgresql")
"""What is a float32 in memory."""
Small = Integer().with_variant(SmallInteger(), "postgresql")


def _one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _instant(name: str, *, optional: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=optional)


def _text(name: str, *, optional: bool = False) -> Column[str]:
    return Column(name, Text, nullable=optional)


def _number(name: str, *, optional: bool = False) -> Column[float]:
    return Column(name, Double, nullable=optional)


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


vehicle = Table(
    "vehicle",
    metadata,
    Column("id", Id, primary_key=True),
    _text("carrier"),
    _text("name"),
    _instant("archived", optional=True),  # the archive holds nothing of it after this; NULL: nothing at all
    UniqueConstraint("carrier", "name"),
)

fix = Table(
    "fix",
    metadata,
    Column("vehicle_id", Id, primary_key=True, autoincrement=False),
    Column("time", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", BigInteger, primary_key=True, autoincrement=False),
    _number("lon", optional=True),
    _number("lat", optional=True),
    Column("speed", Single),
    Column("heading", Single),
    Column("accuracy", Single),
    Column("ignition", Small),
    Column("door", Small),
    Column("alarms", BigInteger, nullable=False),
    Column("quality", Small, nullable=False),
    Column(
        "late", Small, nullable=False
    ),  # 1: it came at or before the vehicle's frontier; 2: so late that it waits to be judged
    # A server would look up the vehicle of every single row, which takes as long as all else; vehicles are never deleted.
    ForeignKeyConstraint(["vehicle_id"], ["vehicle.id"]).ddl_if(dialect="sqlite"),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (time)",
)

reject = Table(
    "reject",
    metadata,
    Column("id", Id, primary_key=True),
    _instant("received"),
    _text("carrier"),
    _text("vehicle"),
    _text("topic"),
    _text("reason"),
    Column("payload", LargeBinary, nullable=False),
    _text("device", optional=True),  # an id that is in nobody's register: taken once it is adopted
    _instant("released", optional=True),  # when it was taken after all
)
Index(
    "ix_reject_quarantined",
    reject.c.carrier,
    reject.c.device,
    sqlite_where=reject.c.device.is_not(None) & reject.c.released.is_(None),
    postgresql_where=reject.c.device.is_not(None) & reject.c.released.is_(None),
)

device = Table(
    "device",
    metadata,
    Column("id", Id, primary_key=True),
    _text("carrier"),
    _text("device"),  # as the sender's payloads and topics name it
    _text("vehicle"),
    _instant("adopted"),
    _text("by"),
    _instant("ended", optional=True),
)
Index(
    "ix_device_in_force",
    device.c.carrier,
    device.c.device,
    unique=True,
    sqlite_where=device.c.ended.is_(None),
    postgresql_where=device.c.ended.is_(None),
)

received = Table(
    "received",
    metadata,
    Column("vehicle_id", Id, ForeignKey("vehicle.id"), primary_key=True, autoincrement=False),
    Column("boot", Text, primary_key=True),
    Column("through", BigInteger, nullable=False),  # every number up to here is on disk
    _text("missing"),  # JSON [[first, last], ...] between `through` and the highest
    Column("highest", BigInteger, nullable=False),
    _instant("heard"),
)

status = Table(
    "status",
    metadata,
    Column("carrier", Text, primary_key=True),
    Column("vehicle", Text, primary_key=True),
    _instant("at"),
    Column("payload", LargeBinary, nullable=False),  # the retained message of its status topic
)

finding = Table(
    "finding",
    metadata,
    Column("id", Id, primary_key=True),
    _text("kind"),
    _text("carrier"),
    _text("subject"),  # vehicle, device, topic or file that it is about
    _text("detail"),
    _instant("first"),
    _instant("last"),
    Column("count", BigInteger, nullable=False, server_default=text("1")),
    _instant("closed", optional=True),
)
Index(
    "ix_finding_open",
    finding.c.kind,
    finding.c.carrier,
    finding.c.subject,
    unique=True,
    sqlite_where=finding.c.closed.is_(None),
    postgresql_where=finding.c.closed.is_(None),
)

archived = Table(
    "archived",
    metadata,
    Column("id", Id, primary_key=True),
    Column("date", Text, nullable=False),  # ISO, of event time in UTC
    _text("carrier"),
    _text("file"),  # below the archive's folder
    Column("fixes", BigInteger, nullable=False),
    _instant("first"),
    _instant("last"),
    Column("hash", String(64), nullable=False),
    _instant("written"),
)
Index(None, archived.c.carrier, archived.c.last)

last_commit = Table(
    "last_commit",
    metadata,
    Column("writer", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    _instant("at"),
)
"""On a server: by what a writer whose commit was not answered finds out what became of it. In a file it stays empty."""

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("vehicle_id", Id, ForeignKey("vehicle.id"), primary_key=True, autoincrement=False),
    Column("frontier", BigInteger, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)

waiting = Table(
    "waiting",
    metadata,
    Column("vehicle_id", Id, ForeignKey("vehicle.id"), primary_key=True, autoincrement=False),
    _instant("asked"),
    _text("why"),  # it is to be judged anew from its first fix on
)

signal = Table(
    "signal",
    metadata,
    Column("id", Id, primary_key=True),
    Column("vehicle_id", Id, ForeignKey("vehicle.id"), nullable=False),
    _text("kind"),
    _text("place", optional=True),
    _text("route", optional=True),
    _text("trip", optional=True),
    _instant("since"),
    _instant("at"),
    _instant("until", optional=True),
    Column("presumed", Boolean, nullable=False),
    _number("lon", optional=True),
    _number("lat", optional=True),
    _number("measure"),
    _number("limit"),
    _text("unit"),
    _text("detail", optional=True),  # which of several things of this kind
    _text("severity"),
    _instant("raised"),
    _instant("decided"),
    Column("state", String(9), nullable=False),  # open: a later fix can still change it; closed: only a late one can
    Column("late_by", BigInteger, nullable=False, server_default=text("0")),
    Column("withdrawn_reason", Text),
    Column("version", Integer, nullable=False, server_default=text("1")),  # counts the changes that the journal tells
    _one_of("state", "open", "closed", "withdrawn"),
)
Index(None, signal.c.vehicle_id, signal.c.decided)
Index("ix_signal_open", signal.c.vehicle_id, sqlite_where=signal.c.state == "open", postgresql_where=signal.c.state == "open")

incident = Table(
    "incident",
    metadata,
    Column("id", Id, primary_key=True),
    _text("carrier"),
    _text("vehicle"),
    _text("severity"),
    Column("state", String(12), nullable=False),
    _instant("since"),
    _instant("at"),
    _instant("until", optional=True),  # end of its newest signal, NULL while one is open
    _instant("opened"),  # when we learned of it
    Column("clear", Boolean, nullable=False, server_default=false()),
    _instant("cleared_at", optional=True),
    Column("withdrawn", Boolean, nullable=False, server_default=false()),  # every signal of it was withdrawn
    _text("acknowledged_by", optional=True),
    _instant("acknowledged_at", optional=True),
    _instant("acknowledged_until", optional=True),  # deadline of the acknowledgement
    _text("resolved_by", optional=True),
    _instant("resolved_at", optional=True),
    _text("outcome", optional=True),
    _text("why", optional=True),
    Column("version", Integer, nullable=False, server_default=text("1")),
    Column("facts", JSON(none_as_null=True)),
    _one_of("state", "open", "acknowledged", "resolved"),
)
Index(None, incident.c.carrier, incident.c.vehicle, incident.c.state)
Index(None, incident.c.state)

incident_signal = Table(
    "incident_signal",
    metadata,
    Column("incident_id", Id, ForeignKey("incident.id"), primary_key=True, autoincrement=False),
    Column("signal_id", Id, ForeignKey("signal.id"), primary_key=True, autoincrement=False),
    Column("link", String(6), nullable=False),
    _one_of("link", "joined", "linked"),
)
Index(None, incident_signal.c.signal_id)

escalation_run = Table(
    "escalation_run",
    metadata,
    Column("incident_id", Id, ForeignKey("incident.id"), primary_key=True, autoincrement=False),
    Column("policy", JSON, nullable=False),  # as it stood when the run began
    _count("step"),
    _instant("next_at", optional=True),
    _count("loops"),
    Column("state", String(9), nullable=False),
    Column("version", Integer, nullable=False, server_default=text("1")),
    _one_of("state", "running", "stopped", "exhausted"),
)
Index(None, escalation_run.c.next_at)

notice = Table(
    "notice",
    metadata,
    Column("id", Id, primary_key=True),
    Column("incident_id", Id, ForeignKey("incident.id"), nullable=True),  # NULL: a message about the monitor itself
    Column("kind", Text, nullable=False, server_default=text("''")),
    Column("severity", Text, nullable=False, server_default=text("''")),
    _text("contact"),
    _text("channel"),
    _text("address"),
    _text("subject"),
    _text("body"),
    _text("language"),
    Column("key", Text, nullable=False, unique=True),
    _instant("created"),
    _instant("next_at", optional=True),
    Column("state", String(10), nullable=False),
    _instant("lease_until", optional=True),
    _count("attempts"),
    _text("why"),
    _one_of("state", "queued", "leased", "sent", "failed", "suppressed", "unknown"),
)
Index(None, notice.c.incident_id)
Index(None, notice.c.state, notice.c.next_at)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Id, primary_key=True),
    Column("notice_id", Id, ForeignKey("notice.id"), nullable=False),
    _instant("at"),
    Column("outcome", String(9), nullable=False),
    Column("detail", Text, nullable=False, server_default=text("''")),
    _one_of("outcome", "sent", "temporary", "permanent", "unknown"),
)
Index(None, attempt.c.notice_id)

configuration = Table(
    "configuration",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", String(13), nullable=False),
    _text("name"),
    _text("body"),  # canonical JSON; empty where the row says that the thing is no more
    _instant("valid_from", optional=True),  # event time, half open, NULL without bound
    _instant("valid_until", optional=True),  # the one column that changes: a later row closes the interval of an earlier one
    _text("source"),
    _text("by"),
    _instant("recorded"),
    Column("applied", Boolean, nullable=False),  # false: written by a command; the monitor has not judged by it yet
    _one_of("kind", "settings", "place", "route", "trip", "authorization", "lockdown"),
)
Index(
    "ix_configuration_pending",
    configuration.c.id,
    sqlite_where=configuration.c.applied == false(),
    postgresql_where=configuration.c.applied == false(),
)

journal = Table(
    "journal",
    metadata,
    Column("seq", Id, primary_key=True, autoincrement=False),
    _instant("at"),
    _text("actor"),
    _text("kind"),
    _text("body"),  # canonical JSON, hashed as it stands
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

journal_head = Table(
    "journal_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

credential = Table(
    "credential",
    metadata,
    Column("id", Id, primary_key=True),
    _text("carrier"),
    _text("vehicle", optional=True),  # NULL: the whole carrier's
    Column("kind", String(11), nullable=False),
    Column("role", String(8), nullable=False, server_default=text("'device'")),
    _text("secret"),  # of a token its SHA-256, of a password its scrypt record; never the secret itself
    _instant("created"),
    _instant("revoked", optional=True),
    _one_of("kind", "token", "password", "certificate"),  # a certificate is listed only once it is revoked
    _one_of("role", "device", "dispatch"),
)
Index(None, credential.c.carrier, credential.c.vehicle)
