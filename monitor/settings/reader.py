"""The reader: TOML and `KEY=VALUE` become frozen sections; every fault names where, key, value and what is allowed."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import available_timezones

from monitor.errors import ConfigurationError
from monitor.settings.durations import format_duration, parse_duration
from monitor.settings.sections import LOADS, Detectors, Limits, Overrides, Settings


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
    reader.together(settings)
    if reader.faults:
        raise ConfigurationError(reader.faults)
    return cast(Settings, settings)


def read_settings(table: Mapping[str, Any]) -> Settings:
    """Read settings that were checked when they were written; what is not known any more is left out."""
    return cast(Settings, _Reader("").section(Settings, table, ""))


def read_limits(said: Any, where: str) -> tuple[Limits, list[str]]:
    """Read the `limits` of one trip or place: a mapping of keys below `detectors` ("unauthorized_stop.limit"); with its faults."""
    reader, table = _Reader(where), dict[str, dict[str, Any]]()
    if not isinstance(said, Mapping):
        return {}, [f'{where} = {said!r}: allowed is an object such as {{"unauthorized_stop.limit": "10m"}}']
    for key, value in said.items():
        detector, _, parameter = str(key).partition(".")
        table.setdefault(detector, {})[parameter or detector] = value
    limits = reader.override(table, "")
    return limits, reader.faults


def effective(settings: Settings) -> list[Setting]:
    """List every setting with its value, in the order of this file; durations as text."""
    return list(_walk(settings, ""))


def _walk(section: Any, prefix: str) -> list[Setting]:
    out: list[Setting] = []
    for item in dataclasses.fields(section):
        value, key = getattr(section, item.name), prefix + item.name
        if dataclasses.is_dataclass(value):
            out += _walk(value, key + ".")
        elif "each" in item.metadata:
            for name, each in value.items():
                out += _walk(each, f"{key}.{name}.")
        elif "keys" in item.metadata:
            out += [Setting(f"{key}.{name}", said, item.metadata["doc"]) for name, said in value.items()]
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


class _Reader:
    """Turns parsed TOML into frozen sections and collects the faults."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.faults: list[str] = []

    def fault(self, key: str, value: Any, allowed: str) -> None:
        """Note one fault."""
        self.faults.append(f"{self.origin}: {key} = {value!r}: allowed is {allowed}")

    def together(self, settings: Settings) -> None:
        """Note values that are right by themselves but not beside each other, or not on this machine."""
        motion = settings.motion
        if settings.timezone not in available_timezones():
            self.fault("timezone", settings.timezone, "an IANA time zone such as America/Toronto")
        if motion.high_mps <= motion.low_mps:
            self.fault("motion.high_mps", motion.high_mps, f"a number above motion.low_mps = {motion.low_mps}")

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
        if "each" in item.metadata:
            return self.named_sections(item.metadata["each"], value, key)
        if "keys" in item.metadata:
            return self.texts(item.metadata["keys"], value, key)
        if isinstance(default, Mapping):
            return self.named_overrides(default, value, key)
        if "bounds" in item.metadata and not isinstance(item.metadata["bounds"][0], timedelta):
            return self.number(item, value, key, default)
        if "bounds" in item.metadata:
            return self.duration(item, value, key, default)
        if isinstance(default, bool):
            return self.flag(value, key, default=default)
        return self.text(item, value, key, default)

    def named_sections(self, kind: type, value: Any, key: str) -> Mapping[str, Any]:
        """Read any number of sections of one kind, each below its name."""
        if not self.is_table(value, key):
            return {}
        tables = {name: table for name, table in value.items() if self.is_table(table, f"{key}.{name}")}
        return {name: self.section(kind, table, f"{key}.{name}.") for name, table in tables.items()}

    def texts(self, allowed: Sequence[str], value: Any, key: str) -> Mapping[str, str]:
        """Read a table of texts."""
        if not self.is_table(value, key):
            return {}
        self.unknown(value, allowed, f"{key}.")
        for name, said in value.items():
            if not isinstance(said, str) or not said:
                self.fault(f"{key}.{name}", said, "a text")
        return {name: said for name, said in value.items() if name in allowed and isinstance(said, str)}

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
