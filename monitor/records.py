"""Records: the rows of a CSV file, or of JSON lines, with the line each stands in; and how their fields are read.

What is wrong is noted with file, line, field, value and what is allowed.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from monitor.errors import ConfigurationError
from monitor.signals import instant

JSON_LINES = (".jsonl", ".ndjson", ".json")


def read_records(
    file: Path, fields: Sequence[str], required: Sequence[str], faults: list[str]
) -> list[tuple[int, Mapping[str, Any]]]:
    """Pairs of line number and record: JSON lines where the file's name ends in .jsonl, .ndjson or .json, else CSV.

    Raises
    ------
    ConfigurationError
        If the file cannot be read at all.
    """
    try:
        return list(_records(file, fields, required, faults))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError([f"{file}: not readable: {error}"]) from None


def _records(
    file: Path, fields: Sequence[str], required: Sequence[str], faults: list[str]
) -> Iterable[tuple[int, Mapping[str, Any]]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        if file.suffix in JSON_LINES:
            for number, text in enumerate(lines, 1):
                if not text.strip():
                    continue
                try:
                    record = json.loads(text)
                except (json.JSONDecodeError, RecursionError) as error:
                    faults.append(f"{file}:{number}: not JSON: {error}")
                    continue
                if isinstance(record, dict):
                    yield number, record
                else:
                    faults.append(f"{file}:{number}: {text.strip()[:60]}: allowed is one JSON object a line")
        else:
            reader = csv.DictReader(lines)
            missing = set(required) - set(reader.fieldnames or ())
            if missing:
                faults.append(f"{file}:1: the header lacks {', '.join(sorted(missing))}; allowed are {', '.join(fields)}")
                return
            for record in reader:
                yield reader.line_num, record


def text_in(record: Mapping[str, Any], name: str, where: str, faults: list[str]) -> str | None:
    """Read a text; a whole number counts as one, and an empty cell as none."""
    value = record.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not is_text(value):
        faults.append(f"{where}: {name} = {value!r}: allowed is a text")
        return None
    return value.strip() or None


def is_text(value: str) -> bool:
    """Whether UTF-8 can carry it; half a surrogate pair, from a hostile client or a shell, it cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def instant_in(text: str | None, where: str, faults: list[str]) -> int | None:
    """Read an instant (ms); `where` names the field too."""
    if text is None:
        return None
    try:
        return instant(text)
    except (ValueError, OverflowError):
        faults.append(f"{where} = {text!r}: allowed is an RFC 3339 time with a zone, such as 2026-03-01T06:00:00Z")
        return None


def number_in(record: Mapping[str, Any], name: str, where: str, faults: list[str], low: float, high: float) -> float | None:
    """Read a number within bounds, or a text of one; an empty cell is none."""
    value = record.get(name)
    if value is None or value == "":
        return None
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not low <= number <= high:
        faults.append(f"{where}: {name} = {value!r}: allowed is a number from {low:,g} to {high:,g}")
        return None
    return number
