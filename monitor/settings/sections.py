"""The sections: every setting with its unit, default, bounds and words, declared once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from monitor.settings.durations import parse_duration

Limits = Mapping[str, Mapping[str, Any]]
"""Detector -> parameter -> value."""
Overrides = Mapping[str, Limits]
"""Name of the load class or carrier -> what is said for it."""
NOTHING_SAID: Limits = {}

LOADS = ("standard", "local", "high_value", "dangerous")
LOAD_DEFAULTS: Overrides = {
    "high_value": {
        "unauthorized_stop": {"limit": timedelta(minutes=15), "no_stop_limit": timedelta(minutes=3)},
        "route_deviation": {"corridor_m": 500.0},
        "after_hours_movement": {"min_fixes": 1},
        "signal_lost": {"limit": timedelta(minutes=6)},
        "device_alarm": {"jamming_limit": timedelta(0)},
    },
    "local": {"unauthorized_stop": {"limit": timedelta(minutes=45)}},
}


def _duration(default: str, low: str, high: str, doc: str) -> Any:
    bounds = (parse_duration(low), parse_duration(high))
    return field(default=parse_duration(default), metadata={"bounds": bounds, "doc": doc})


def _optional_duration(doc: str) -> Any:
    return field(default=None, metadata={"bounds": (parse_duration("1s"), parse_duration("365d")), "doc": doc})


def _number(default: float, low: float, high: float, doc: str) -> Any:
    return field(default=default, metadata={"bounds": (low, high), "doc": doc})


def _text(default: str, doc: str, *, allowed: Sequence[str] = (), pattern: str = "") -> Any:
    return field(default=default, metadata={"allowed": tuple(allowed), "pattern": pattern, "doc": doc})


def _flag(doc: str, *, default: bool) -> Any:
    return field(default=default, metadata={"doc": doc})


def _named(kind: type, doc: str) -> Any:
    """Any number of sections of one kind, each by a name of its own."""
    return field(default_factory=dict, metadata={"each": kind, "doc": doc})


def _texts(doc: str, *, allowed: Sequence[str]) -> Any:
    """A table of texts, its keys among those allowed."""
    return field(default_factory=dict, metadata={"keys": tuple(allowed), "doc": doc})


def _section(kind: type, doc: str) -> Any:
    return field(default_factory=kind, metadata={"doc": doc})


@dataclass(frozen=True)
class Order:
    """Order, lateness and silence."""

    jump_mps: float = _number(70.0, 10.0, 1000.0, "a fix that implies more than this from the last good one is a jump")
    first_interval: timedelta = _duration("30s", "1s", "1h", "a vehicle's own interval before three are known")
    gap: timedelta = _duration("10m", "1m", "24h", "a gap is longer than this and than three own intervals")
    allowance: timedelta = _duration("60s", "1s", "1h", "silence presumes only after this and three own intervals")
    settle: timedelta = _duration("30s", "0s", "5m", "live: a deadline waits until nothing has arrived for this long")
    settle_at_most: timedelta = _duration("5m", "0s", "1h", "live: but never longer than this")
    rewind_horizon: timedelta = _duration(
        "48h", "1h", "14d", "checkpoints reach this far back; a fix later than this waits for the nightly adjudication"
    )
    checkpoint: timedelta = _duration("1h", "1m", "24h", "event time between two checkpoints of a vehicle")
    adjudicate_at: str = _text(
        "03:00", "when, in the general time zone, vehicles with later fixes are judged anew", pattern=r"([01]\d|2[0-3]):[0-5]\d"
    )


@dataclass(frozen=True)
class Motion:
    """The stop automaton."""

    radius_m: float = _number(75.0, 5.0, 2000.0, "a fix within this of the cluster's centroid belongs to it")
    hold_radius_m: float = _number(200.0, 5.0, 5000.0, "a slow fix within this holds an established cluster")
    low_mps: float = _number(1.0, 0.0, 10.0, "at or below: evidence of standing")
    high_mps: float = _number(2.5, 0.1, 20.0, "at or above: never part of a cluster")
    establish: timedelta = _duration("60s", "0s", "1h", "a cluster that spans this long is established")
    shortest_stop: timedelta = _duration("60s", "1s", "24h", "standing evidence that spans this long opens a stop")
    break_count: int = _number(6, 1, 100, "fixes outside count 1 when slow, else 2; this many break the cluster")


@dataclass(frozen=True)
class UnauthorizedStop:
    """A stop where the vehicle may not stand."""

    limit: timedelta = _duration("30m", "1s", "30d", "how long it may stand outside every permitted place")
    no_stop_limit: timedelta = _duration("5m", "1s", "30d", "the same inside a `no_stop` place")
    red_zone_limit: timedelta = _duration("5m", "1s", "30d", "the same for a high-value load in the red zone of its origin")
    red_zone_m: float = _number(322_000.0, 0.0, 5_000_000.0, "geodesic width of the red zone around the origin's edge")


@dataclass(frozen=True)
class RouteDeviation:
    """Off every corridor of the trip."""

    corridor_m: float = _number(1000.0, 20.0, 100_000.0, "corridor half-width where neither the load class nor the route says")
    min_fixes: int = _number(3, 1, 100, "raised at the earliest at this many fixes beyond the corridor")
    min_duration: timedelta = _duration("2m", "0s", "24h", "and this long after the first of them")
    clear_ratio: float = _number(0.7, 0.05, 1.0, "cleared within this share of the corridor")
    terminal_m: float = _number(5000.0, 0.0, 100_000.0, "around the trip's origin and destination nothing is a deviation")


@dataclass(frozen=True)
class WrongWay:
    """Back along the route of the trip."""

    back_m: float = _number(10_000.0, 100.0, 1_000_000.0, "so far back along the route from the furthest point")
    clear_m: float = _number(1_000.0, 10.0, 100_000.0, "progress again: so far forward from the point furthest back")


@dataclass(frozen=True)
class LongDwell:
    """A visit longer than the place's kind allows; a place's own `max_dwell` comes first."""

    yard: timedelta | None = _optional_duration("yards; none unless set")
    customer: timedelta | None = _duration("4h", "1s", "365d", "customers")
    drop: timedelta | None = _optional_duration("drops; none unless set")
    rest_area: timedelta | None = _duration("11h", "1s", "365d", "rest areas")
    fuel: timedelta | None = _duration("1h", "1s", "365d", "fuel stations")
    parking: timedelta | None = _duration("11h", "1s", "365d", "truck parking")
    repair: timedelta | None = _duration("8h", "1s", "365d", "repair shops")
    port_of_entry: timedelta | None = _duration("3h", "1s", "365d", "ports of entry, their approach included")
    inspection_station: timedelta | None = _optional_duration("inspection stations; none unless set")


@dataclass(frozen=True)
class ZoneBreach:
    """Inside a restricted place; a yard left outside its hours is told at once, whatever the limit."""

    limit: timedelta = _duration("0s", "0s", "30d", "how long it may be inside a `restricted` place")


@dataclass(frozen=True)
class AfterHoursMovement:
    """Moving when it should not; armed where one of the three is configured: a lockdown, hours, trips."""

    moved_m: float = _number(200.0, 10.0, 100_000.0, "so far from where it was when it might last move")
    min_fixes: int = _number(2, 1, 100, "raised at this many fixes that show it")
    hours: str = _text("", 'when vehicles may move, such as "Mo-Fr 05:00-22:00", in the general time zone; empty for always')
    without_trip: bool = _flag("a vehicle on no trip may not move; for carriers that feed their trips", default=False)


@dataclass(frozen=True)
class Separation:
    """A trip's tractor and trailer apart."""

    apart_m: float = _number(150.0, 10.0, 100_000.0, "further apart than this, beyond what their speeds explain")
    min_fixes: int = _number(2, 1, 100, "raised at this many synchronous fixes that show it")
    synchronous: timedelta = _duration("15s", "0s", "10m", "positions of the two no further apart in time are compared")


@dataclass(frozen=True)
class SignalLost:
    """No position; three own intervals count where that is longer."""

    limit: timedelta = _duration("10m", "1m", "30d", "silence of a vehicle under way; of a standing one at the least")
    dead_zone_limit: timedelta = _duration("45m", "1m", "30d", "silence of a vehicle last heard under way in a `dead_zone`")
    parked_interval: timedelta | None = _optional_duration("report interval while standing; learned unless set")
    first_parked_interval: timedelta = _duration("2h", "1m", "30d", "the same before enough was learned")
    learned_after: timedelta = _duration(
        "24h", "0s", "30d", "enough was learned once it was heard standing for so long, all in all"
    )
    moved_m: float = _number(1000.0, 10.0, 1_000_000.0, "reappearing this far from where it stood is critical")
    assumed_mps: float = _number(22.222, 1.0, 100.0, "what it may have driven meanwhile; the rest is unaccounted for")


@dataclass(frozen=True)
class DoorOpen:
    """The cargo door is open where it may not be, or under way."""

    limit: timedelta = _duration("0s", "0s", "24h", "how long it may be")


@dataclass(frozen=True)
class DeviceAlarm:
    """The device itself raises an alarm."""

    limit: timedelta = _duration("0s", "0s", "24h", "how long panic, tamper, power cut or tow must last")
    jamming_limit: timedelta = _duration("60s", "0s", "24h", "how long jamming must last")


@dataclass(frozen=True)
class ImpossibleMovement:
    """Positions further apart than any vehicle drives; see `order.jump_mps`."""

    good_fixes: int = _number(5, 1, 1000, "cleared after this many fixes without a jump")


@dataclass(frozen=True)
class Detectors:
    """The limits of every detector."""

    unauthorized_stop: UnauthorizedStop = _section(UnauthorizedStop, "")
    route_deviation: RouteDeviation = _section(RouteDeviation, "")
    wrong_way: WrongWay = _section(WrongWay, "")
    long_dwell: LongDwell = _section(LongDwell, "")
    zone_breach: ZoneBreach = _section(ZoneBreach, "")
    after_hours_movement: AfterHoursMovement = _section(AfterHoursMovement, "")
    separation: Separation = _section(Separation, "")
    signal_lost: SignalLost = _section(SignalLost, "")
    door_open: DoorOpen = _section(DoorOpen, "")
    device_alarm: DeviceAlarm = _section(DeviceAlarm, "")
    impossible_movement: ImpossibleMovement = _section(ImpossibleMovement, "")


@dataclass(frozen=True)
class Listener:
    """Our own MQTT server."""

    host: str = _text("127.0.0.1", "address to listen on")
    port: int = _number(1883, 0, 65535, "TCP port; 0 takes a free one")
    max_packet_bytes: int = _number(262_144, 1024, 268_435_455, "a larger packet closes its connection")
    max_connections: int = _number(15_000, 1, 1_000_000, "one more is refused")
    connect_timeout: timedelta = _duration("10s", "1s", "5m", "time for a client to finish its CONNECT")
    keepalive_max: timedelta = _duration(
        "20m", "10s", "18h", "longest keep-alive granted (MQTT 5 is told; older clients that ask more are held to it)"
    )
    receive_maximum: int = _number(5000, 1, 65535, "unacknowledged QoS 1 messages a client may have under way")
    send_buffer_bytes: int = _number(1_048_576, 4096, 268_435_455, "a client that does not read this much is closed")
    tls_certificate: str = _text("", "PEM file of the server's certificate chain; empty for no TLS")
    tls_key: str = _text("", "PEM file of its private key")
    client_ca: str = _text("", "PEM file of those who sign client certificates; empty for none")
    client_crl: str = _text("", "PEM file of client certificates that are revoked; empty for none")
    client_certificates: str = _text(
        "optional",
        "whether a device must show one; its common name is CARRIER or CARRIER/VEHICLE",
        allowed=("optional", "required"),
    )
    carrier_connections: int = _number(10_000, 1, 1_000_000, "connections of one carrier; one more is refused")
    carrier_messages_per_s: float = _number(
        20_000.0, 1.0, 1e9, "messages of one carrier; beyond it the carrier is read more slowly"
    )
    carrier_bytes_per_s: float = _number(
        33_554_432.0, 1024.0, 1e12, "bytes of one carrier; beyond it the carrier is read more slowly"
    )


@dataclass(frozen=True)
class Broker:
    """An external MQTT broker."""

    host: str = _text("127.0.0.1", "address of the broker")
    port: int = _number(1883, 1, 65535, "TCP port of the broker")
    client_id: str = _text(
        "telematics-monitor", "fixed client id; the broker keeps the session under it", pattern=r"[\w.:-]{1,64}"
    )
    username: str = _text("", "user name, empty for none")
    password_file: str = _text("", "file whose first line is the password; empty for none")
    topic: str = _text("telematics/v1/+/+/fix", "topic filter to subscribe to")
    receive_maximum: int = _number(1000, 1, 65535, "unacknowledged messages the broker may have under way")
    session_expiry: timedelta = _duration("7d", "1m", "365d", "how long the broker keeps what we have not fetched")
    tls: bool = _flag("connect by TLS", default=False)
    ca_file: str = _text("", "PEM file of those who sign the broker's certificate; empty for the system's")
    certificate: str = _text("", "PEM file of our own certificate, where the broker asks for one")
    key: str = _text("", "PEM file of its private key")
    acknowledge: bool = _flag("publish to the devices' /ack topics what is on disk", default=True)
    keepalive: timedelta = _duration(
        "30s", "1s", "1h", "a connection that is silent for this long is tried, and as long again later given up"
    )
    trips: bool = _flag("take /trip too: only where the broker lets nobody but dispatch publish there", default=False)


SPEED_UNITS = ("mps", "kmh", "knots", "mph")
FIX_KEYS = ("time", "lat", "lon", "speed", "heading", "accuracy", "ignition", "door", "alarms")


@dataclass(frozen=True)
class Feed:
    """Messages in another form than our own, known by their topic."""

    topic: str = _text(
        "",
        "levels; {carrier}, {vehicle} and {device} name what stands there, + is any one level, `#` the rest",
        pattern=r"[^\s\0]{1,512}",
    )
    format: str = _text("native", "the payload's form", pattern=r"[a-z0-9_]{1,32}")
    carrier: str = _text(
        "",
        "whose it is, where a broker's topic does not name one; on our own listener it is the connection's",
        pattern=r"[\w.~:-]{0,64}",
    )
    speed_unit: str = _text("", "where the sender's differs from the form's own", allowed=("", *SPEED_UNITS))
    keys: Mapping[str, str] = _texts("payload keys, where the sender's differ from the form's own", allowed=FIX_KEYS)


@dataclass(frozen=True)
class Ingest:
    """Where positions come in."""

    source: str = _text("listener", "which of the two ways in", allowed=("listener", "broker", "both"))
    batch_messages: int = _number(5000, 1, 1_000_000, "at most this many messages in one transaction")
    future: timedelta = _duration("5m", "0s", "24h", "a fix further ahead of the clock is quarantined")
    max_fixes_per_message: int = _number(10_000, 1, 1_000_000, "a longer array is rejected whole")
    listener: Listener = _section(Listener, "")
    broker: Broker = _section(Broker, "")
    feed: Mapping[str, Feed] = _named(Feed, "messages in other forms, by topic")


def _kept(default: str, doc: str) -> Any:
    return field(
        default=parse_duration(default), metadata={"bounds": (parse_duration("1d"), parse_duration("36500d")), "doc": doc}
    )


def _kept_for_ever(doc: str) -> Any:
    return field(default=None, metadata={"bounds": (parse_duration("1d"), parse_duration("36500d")), "doc": doc})


@dataclass(frozen=True)
class Keep:
    """How long what is kept where; "none" for ever. Signals, incidents, notices and the journal are evidence and stay."""

    fixes: timedelta | None = _kept("90d", "in the database; older days move to the archive")
    rejects: timedelta | None = _kept("90d", "what was not taken")
    findings: timedelta | None = _kept("365d", "findings that are closed")
    archive: timedelta | None = _kept_for_ever("files of the archive")


@dataclass(frozen=True)
class Store:
    """The database."""

    url: str = _text(
        "sqlite:///var/monitor.db",
        "SQLAlchemy URL, sqlite or postgresql; a relative SQLite path is relative to the working folder",
    )
    password_file: str = _text("", "PostgreSQL: file whose first line is the password; empty for none")
    busy_timeout: timedelta = _duration("30s", "1s", "10m", "how long to wait for a locked database")
    partition: str = _text("month", "PostgreSQL: what one partition of the fixes holds", allowed=("month", "day"))
    archive: str = _text("var/archive", "folder of the Parquet archive; empty for none: then nothing leaves the database")
    archive_at: str = _text("04:00", "when, in the general time zone, what is old moves", pattern=r"([01]\d|2[0-3]):[0-5]\d")
    keep: Keep = _section(Keep, "")


@dataclass(frozen=True)
class Web:
    """Our own HTTP server: positions by POST, health, metrics."""

    enabled: bool = _flag("whether there is one", default=True)
    host: str = _text("127.0.0.1", "address to listen on")
    port: int = _number(8080, 0, 65535, "TCP port; 0 takes a free one")
    tls_certificate: str = _text("", "PEM file of the server's certificate chain; empty for no TLS")
    tls_key: str = _text("", "PEM file of its private key")
    max_body_bytes: int = _number(4_194_304, 1024, 268_435_455, "a larger body is refused")
    token_file: str = _text("", "file whose first line is the token that /metrics asks for; empty for none")


@dataclass(frozen=True)
class Health:
    """That a dead monitor is noticed by somebody."""

    heartbeat_url: str = _text("", "asked by GET while all is well; empty for none", pattern=r"(https?://\S+)?")
    heartbeat_every: timedelta = _duration("1m", "1s", "1d", "how often")
    alive_at: str = _text(
        "07:00",
        "when, in the general time zone, contacts are told how many vehicles were heard",
        pattern=r"([01]\d|2[0-3]):[0-5]\d",
    )
    alive_to: str = _text("", "the contact who is told; empty for nobody")


@dataclass(frozen=True)
class Log:
    """What the program writes of itself, to the error stream."""

    form: str = _text("text", "lines for people, or one JSON object a line", allowed=("text", "json"))
    level: str = _text("warning", "the least that is written", allowed=("debug", "info", "warning", "error"))


@dataclass(frozen=True)
class Smtp:
    """Notices by e-mail; off while `host` is empty."""

    host: str = _text("", "mail server; empty for no e-mail")
    port: int = _number(587, 1, 65535, "TCP port of the mail server")
    security: str = _text("starttls", "how the connection is protected", allowed=("starttls", "tls", "none"))
    username: str = _text("", "user name, empty for none")
    password_file: str = _text("", "file whose first line is the password; empty for none")
    sender: str = _text("", "From address")
    timeout: timedelta = _duration("20s", "1s", "5m", "for each conversation with the server")


@dataclass(frozen=True)
class Alerts:
    """Incidents and notices."""

    join: timedelta = _duration("10m", "0s", "24h", "signals of a vehicle this close make one incident")
    reopen: timedelta = _duration("15m", "0s", "24h", "a signal this soon after the resolution reopens its incident")
    notice_log: str = _text("var/notices.log", "file that every notice is appended to; empty for none")
    lease: timedelta = _duration("60s", "1s", "1h", "a notice leased longer than this is sent again, marked a repeat")
    first_retry: timedelta = _duration("5s", "1s", "1h", "wait after the first temporary failure; doubled each time")
    last_retry: timedelta = _duration("15m", "1s", "24h", "longest wait between two attempts")
    give_up: timedelta = _duration("24h", "1m", "30d", "a notice that could not be sent for this long is given up, loudly")
    smtp: Smtp = _section(Smtp, "")


@dataclass(frozen=True)
class Settings:
    """All settings. `load` and `carrier` hold the detector limits that differ for a load class or a carrier."""

    timezone: str = _text("America/Toronto", "time zone of `hours` where a place has none, and of times shown to people")
    geofences: str = _text("geofences", "folder of the GeoJSON files")
    trips: str = _text("", "CSV or JSON lines file of trips; empty for none")
    authorizations: str = _text("", "CSV or JSON lines file of authorizations; empty for none")
    lockdowns: str = _text("", "CSV or JSON lines file of lockdowns; empty for none")
    order: Order = _section(Order, "")
    motion: Motion = _section(Motion, "")
    detectors: Detectors = _section(Detectors, "")
    ingest: Ingest = _section(Ingest, "")
    store: Store = _section(Store, "")
    alerts: Alerts = _section(Alerts, "")
    web: Web = _section(Web, "")
    health: Health = _section(Health, "")
    log: Log = _section(Log, "")
    load: Overrides = field(default_factory=lambda: LOAD_DEFAULTS, metadata={"doc": "limits that differ for a load class"})
    carrier: Overrides = field(default_factory=dict, metadata={"doc": "limits that differ for a carrier"})

    def limits(self, carrier: str, load: str, trip: Limits = NOTHING_SAID, place: Limits = NOTHING_SAID) -> Detectors:
        """Give the limits for a vehicle of `carrier`: its trip's, else the load class's, the carrier's, the place's, else all's."""
        detectors = self.detectors
        for said in (place, self.carrier.get(carrier, {}), self.load.get(load, {}), trip):
            changed = {name: dataclasses.replace(getattr(detectors, name), **values) for name, values in said.items()}
            detectors = dataclasses.replace(detectors, **changed)
        return detectors
