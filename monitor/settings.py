"""Every setting, with its unit, default and bounds; TOML and `--set KEY=VALUE` become frozen values here and nowhere else.

A setting is a dotted key (`motion.radius_m`). Durations are written "90s", "5m", "2h", "14d" and become `timedelta`; other numbers
carry their unit as a suffix of the key. An unknown key, a wrong type and a value out of bounds are faults that name the file, the
key, the value and what is allowed. Limits are inherited load class > carrier > global: `load.high_value.…` and `carrier.NAME.…`
repeat the keys below `detectors` and override them.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import available_timezones

from monitor.errors import ConfigurationError

DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LOADS = ("standard", "local", "high_value", "dangerous")
LOAD_DEFAULTS: Mapping[str, Any] = {
    "high_value": {
        "unauthorized_stop": {"limit": "15m", "no_stop_limit": "3m"},
        "route_deviation": {"corridor_m": 500.0},
    },
    "local": {"unauthorized_stop": {"limit": "45m"}},
}

Overrides = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Name of the load class or carrier -> detector -> parameter -> value."""


def parse_duration(text: str) -> timedelta:
    """Read "90s", "5m", "1h30m", "14d".

    Raises
    ------
    ValueError
        If the text is not one or several numbers, each followed by ms, s, m, h or d.
    """
    parts = DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(text)
    return timedelta(seconds=sum(float(number) * UNIT_SECONDS[unit] for number, unit in parts))


def format_duration(value: timedelta) -> str:
    """Write a duration so that `parse_duration` reads the same: "1h30m"; "0s" for none."""
    rest, out = round(value.total_seconds() * 1000), ""
    for unit in ("d", "h", "m", "s", "ms"):
        size = round(UNIT_SECONDS[unit] * 1000)
        count, rest = divmod(rest, size)
        out += f"{count}{unit}" if count else ""
    return out or "0s"


def milliseconds(value: timedelta) -> int:
    """Whole milliseconds of a duration."""
    return round(value.total_seconds() * 1000)


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
        "48h", "1h", "14d", "checkpoints reach this far back; a fix later than this costs all of its vehicle's history"
    )
    checkpoint: timedelta = _duration("1h", "1m", "24h", "event time between two checkpoints of a vehicle")


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
class Detectors:
    """The limits of every detector."""

    unauthorized_stop: UnauthorizedStop = _section(UnauthorizedStop, "")
    route_deviation: RouteDeviation = _section(RouteDeviation, "")
    long_dwell: LongDwell = _section(LongDwell, "")


@dataclass(frozen=True)
class Listener:
    """Our own MQTT server."""

    host: str = _text("127.0.0.1", "address to listen on")
    port: int = _number(1883, 0, 65535, "TCP port; 0 takes a free one")
    max_packet_bytes: int = _number(262_144, 1024, 268_435_455, "a larger packet closes its connection")
    max_connections: int = _number(20_000, 1, 1_000_000, "one more is refused")
    connect_timeout: timedelta = _duration("10s", "1s", "5m", "time for a client to finish its CONNECT")
    keepalive_max: timedelta = _duration(
        "20m", "10s", "18h", "longest keep-alive granted (MQTT 5 is told; older clients that ask more are held to it)"
    )
    receive_maximum: int = _number(5000, 1, 65535, "unacknowledged QoS 1 messages a client may have under way")
    send_buffer_bytes: int = _number(1_048_576, 4096, 268_435_455, "a client that does not read this much is closed")


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


@dataclass(frozen=True)
class Ingest:
    """Where positions come in."""

    source: str = _text("listener", "which of the two ways in", allowed=("listener", "broker"))
    batch_messages: int = _number(5000, 1, 1_000_000, "at most this many messages in one transaction")
    future: timedelta = _duration("5m", "0s", "24h", "a fix further ahead of the clock is quarantined")
    max_fixes_per_message: int = _number(10_000, 1, 1_000_000, "a longer array is rejected whole")
    listener: Listener = _section(Listener, "")
    broker: Broker = _section(Broker, "")


@dataclass(frozen=True)
class Store:
    """The database."""

    url: str = _text("sqlite:///var/monitor.db", "SQLAlchemy URL; a relative SQLite path is relative to the working folder")
    busy_timeout: timedelta = _duration("30s", "1s", "10m", "how long to wait for a locked database")


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
    order: Order = _section(Order, "")
    motion: Motion = _section(Motion, "")
    detectors: Detectors = _section(Detectors, "")
    ingest: Ingest = _section(Ingest, "")
    store: Store = _section(Store, "")
    alerts: Alerts = _section(Alerts, "")
    load: Overrides = field(
        default_factory=lambda: _overrides(LOAD_DEFAULTS), metadata={"doc": "limits that differ for a load class"}
    )
    carrier: Overrides = field(default_factory=dict, metadata={"doc": "limits that differ for a carrier"})

    def limits(self, carrier: str, load: str) -> Detectors:
        """Give the limits for a vehicle of `carrier` under a trip of this load class (load class > carrier > global)."""
        detectors = self.detectors
        for said in (self.carrier.get(carrier, {}), self.load.get(load, {})):
            changed = {name: dataclasses.replace(getattr(detectors, name), **values) for name, values in said.items()}
            detectors = dataclasses.replace(detectors, **changed)
        return detectors


@dataclass(frozen=True)
class Setting:
    """One line of the effective configuration."""

    key: str
    value: Any
    doc: str


def load_settings(file: Path | None, assignments: Sequence[str] = ()) -> Settings:
    """Read a TOML file (None for the defaults alone), then apply `KEY=VALUE` assignments over it.

    Raises
    ------
    ConfigurationError
        With one line for each fault: file, key, value, what is allowed.
    """
    table: dict[str, Any] = {}
    origin = "defaults"
    if file is not None:
        origin = str(file)
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigurationError([f"{file}: there is no such file"]) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
            raise ConfigurationError([f"{file}: not readable as TOML: {error}"]) from None
    reader = _Reader(origin)
    for assignment in assignments:
        reader.assign(table, assignment)
    settings = reader.section(Settings, table, "")
    if settings.timezone not in available_timezones():
        reader.fault("timezone", settings.timezone, "an IANA time zone such as America/Toronto")
    if reader.faults:
        raise ConfigurationError(reader.faults)
    return cast(Settings, settings)


def effective(settings: Settings) -> list[Setting]:
    """List every setting with its value, in the order of this file; durations as text."""
    return list(_walk(settings, ""))


def _walk(section: Any, prefix: str) -> list[Setting]:
    out: list[Setting] = []
    for item in dataclasses.fields(section):
        value, key = getattr(section, item.name), prefix + item.name
        if dataclasses.is_dataclass(value):
            out += _walk(value, key + ".")
        elif isinstance(value, Mapping):
            out += [
                Setting(f"{key}.{name}.{detector}.{parameter}", _shown(said), item.metadata["doc"])
                for name, detectors in value.items()
                for detector, parameters in detectors.items()
                for parameter, said in parameters.items()
            ]
        else:
            out.append(Setting(key, _shown(value), item.metadata["doc"]))
    return out


def _shown(value: Any) -> Any:
    return format_duration(value) if isinstance(value, timedelta) else value


def _overrides(table: Mapping[str, Any]) -> Overrides:
    reader = _Reader("built-in load classes")
    out = {name: reader.override(said, f"load.{name}.") for name, said in table.items()}
    if reader.faults:
        raise ConfigurationError(reader.faults)
    return out


class _Reader:
    """Turns parsed TOML into frozen sections and collects the faults."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.faults: list[str] = []

    def fault(self, key: str, value: Any, allowed: str) -> None:
        """Note one fault."""
        self.faults.append(f"{self.origin}: {key} = {value!r}: allowed is {allowed}")

    def assign(self, table: dict[str, Any], assignment: str) -> None:
        """Put one `KEY=VALUE` into the table; the value is read as TOML where it is, else as text."""
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            self.faults.append(f"--set {assignment}: allowed is KEY=VALUE")
            return
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except (tomllib.TOMLDecodeError, RecursionError):
            value = text.strip()
        *path, last = key.strip().split(".")
        for name in path:
            below: Any = table.setdefault(name, {})
            if not isinstance(below, dict):
                self.fault(key, text, f"a key below a section; {name} is a value")
                return
            table = below
        table[last] = value

    def section(self, kind: type, table: Mapping[str, Any], prefix: str) -> Any:
        """Read one section; what is not said keeps its default."""
        known = {item.name: item for item in dataclasses.fields(kind)}
        self.unknown(table, list(known), prefix)
        return kind(**{name: self.value(known[name], value, prefix + name) for name, value in table.items() if name in known})

    def unknown(self, table: Mapping[str, Any], known: Sequence[str], prefix: str) -> None:
        """Note the keys that nobody reads."""
        for name in table:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {prefix}{near[0]}?" if near else f"one of {', '.join(known)}"
                self.faults.append(f"{self.origin}: {prefix}{name}: there is no such setting; {hint}")

    def override(self, table: Mapping[str, Any], prefix: str) -> Mapping[str, Mapping[str, Any]]:
        """Read the limits said for one load class or carrier."""
        known = {item.name: item for item in dataclasses.fields(Detectors)}
        self.unknown(table, list(known), prefix)
        out: dict[str, dict[str, Any]] = {}
        for name, said in table.items():
            if name in known and self.is_table(said, prefix + name):
                parameters = {item.name: item for item in dataclasses.fields(getattr(Detectors(), name))}
                self.unknown(said, list(parameters), f"{prefix}{name}.")
                out[name] = {
                    key: self.value(parameters[key], value, f"{prefix}{name}.{key}")
                    for key, value in said.items()
                    if key in parameters
                }
        return out

    def is_table(self, value: Any, key: str) -> bool:
        """Say whether a value is a table, noting a fault where not."""
        if not isinstance(value, Mapping):
            self.fault(key, value, "a table")
        return isinstance(value, Mapping)

    def value(self, item: dataclasses.Field[Any], value: Any, key: str) -> Any:
        """Read one value as its field says; on a fault, its default."""
        default = item.default_factory() if item.default_factory is not dataclasses.MISSING else item.default
        if dataclasses.is_dataclass(default):
            return self.section(type(default), value, key + ".") if self.is_table(value, key) else default
        if isinstance(default, Mapping):
            return self.named_overrides(default, value, key)
        if "bounds" in item.metadata and not isinstance(item.metadata["bounds"][0], timedelta):
            return self.number(item, value, key, default)
        if "bounds" in item.metadata:
            return self.duration(item, value, key, default)
        if isinstance(default, bool):
            return self.flag(value, key, default=default)
        return self.text(item, value, key, default)

    def named_overrides(self, default: Overrides, value: Any, key: str) -> Overrides:
        """Read `load` or `carrier`, over what is built in."""
        if not self.is_table(value, key):
            return default
        out = {name: {detector: dict(said) for detector, said in detectors.items()} for name, detectors in default.items()}
        if key == "load":
            self.unknown(value, LOADS, "load.")
        for name, table in value.items():
            if self.is_table(table, f"{key}.{name}"):
                for detector, said in self.override(table, f"{key}.{name}.").items():
                    out.setdefault(name, {}).setdefault(detector, {}).update(said)
        return out

    def number(self, item: dataclasses.Field[Any], value: Any, key: str, default: Any) -> Any:
        """Read a number within its bounds."""
        low, high = item.metadata["bounds"]
        whole = isinstance(default, int)
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            self.fault(key, value, f"{'a whole number' if whole else 'a number'} from {low:,} to {high:,}")
            return default
        return value if whole else float(value)

    def duration(self, item: dataclasses.Field[Any], value: Any, key: str, default: Any) -> Any:
        """Read a duration within its bounds; "none" where there may be none."""
        low, high = item.metadata["bounds"]
        optional = "None" in str(item.type)
        if optional and value == "none":
            return None
        try:
            read = parse_duration(value) if isinstance(value, str) else None
        except (ValueError, OverflowError):
            read = None
        if read is None or not low <= read <= high:
            wish = f'a duration such as "90s", "5m" or "2h", from {format_duration(low)} to {format_duration(high)}'
            self.fault(key, value, wish + (' or "none"' if optional else ""))
            return default
        return read

    def flag(self, value: Any, key: str, *, default: bool) -> bool:
        """Read true or false."""
        if not isinstance(value, bool):
            self.fault(key, value, "true or false")
            return default
        return value

    def text(self, item: dataclasses.Field[Any], value: Any, key: str, default: Any) -> Any:
        """Read a text, one of those allowed where there is a list."""
        allowed, pattern = item.metadata.get("allowed", ()), item.metadata.get("pattern", "")
        if not isinstance(value, str):
            self.fault(key, value, "a text")
        elif allowed and value not in allowed:
            self.fault(key, value, " or ".join(f'"{word}"' for word in allowed))
        elif pattern and not re.fullmatch(pattern, value):
            self.fault(key, value, f"a text that matches {pattern}")
        else:
            return value
        return default
