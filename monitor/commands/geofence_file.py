"""A GeoJSON file of geofences, to be edited: read as it is, changed feature by feature, put back all at once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monitor.errors import InputError, ServiceError

Feature = dict[str, Any]


class GeofenceFile:
    """What a file holds, and what it held when it was read; empty where there is none yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.members: dict[str, Any] = {"type": "FeatureCollection"}
        """Of the collection, all but its features."""
        self.features: list[Feature] = []
        self._content = self._read()
        if self._content is not None:
            self._parse(self._content)

    def _read(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"{self.path}: not readable: {error.strerror}") from None

    def _parse(self, content: bytes) -> None:
        try:
            found = json.loads(content)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"{self.path}: not JSON: {error}") from None
        features = found.get("features") if isinstance(found, dict) else None
        if not isinstance(features, list) or not all(map(_has_properties, features)):
            raise InputError(f"{self.path}: allowed is a GeoJSON FeatureCollection whose features have properties")
        self.members = {name: value for name, value in found.items() if name != "features"}
        self.features = features

    def text(self) -> bytes:
        """What it is to hold: one feature a line."""
        head = json.dumps(self.members, ensure_ascii=False)[:-1]
        lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in self.features)
        return f'{head}, "features": [\n{lines}\n]}}\n'.encode("utf-8", "surrogatepass")  # the way `json` reads them

    def write(self) -> None:
        """Put what it is to hold in its place, all at once.

        Raises
        ------
        ServiceError
            If it cannot be written, or somebody changed it since it was read; nothing is changed then.
        """
        if self._read() != self._content:
            raise ServiceError(f"{self.path}: somebody changed it meanwhile; nothing is written: run the command again")
        target, content = self.path.resolve(), self.text()
        beside = target.with_name(f".{target.name}.new")
        try:
            with beside.open("wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            if self._content is not None:
                shutil.copymode(target, beside)
            beside.replace(target)
        except OSError as error:
            raise ServiceError(f"{self.path}: cannot be written: {error.strerror}") from None
        self._content = content


def _has_properties(feature: object) -> bool:
    return isinstance(feature, dict) and isinstance(feature.get("properties"), dict)


def identity_of(feature: Mapping[str, Any]) -> str:
    """The id of a feature, among its properties or beside them; empty where it has none."""
    return str(feature["properties"].get("id", feature.get("id", "")))


def files_of(folder: Path) -> list[GeofenceFile]:
    """The files of a folder, in the order of their names.

    Raises
    ------
    InputError
        If there is no such folder, or a file of it cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder of GeoJSON files")
    return [GeofenceFile(path) for path in sorted(folder.glob("*.geojson"))]
