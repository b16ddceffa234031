"""What a simulated fleet is to go through: how likely each trouble is on a run, and what is lawful but inconvenient; pure.

A *run* is a drive from one end of a route to the other. Rates are written NAME=RATE, the names those of `Trouble` in small letters,
or `all`; in a file, TOML: one a line.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from monitor.errors import InputError
from monitor.ingest.fleet.halts import Trouble

NAMES: Mapping[str, Trouble] = {trouble.name.lower(): trouble for trouble in Trouble}
ALL = "all"
SPEAKING = tuple(list(Trouble)[:6])
"""The troubles of the demonstration."""


@dataclass(frozen=True, slots=True)
class Script:
    """`rates`: the chance that a run meets a trouble. `tunnels`: stretches without satellites on 100 km."""

    rates: Mapping[Trouble, float] = field(default_factory=dict)
    tunnels: float = 0.0

    def draw(self, rng: np.random.Generator) -> list[Trouble]:
        """Draw the troubles of one run; the same numbers are drawn whatever the rates are."""
        chance = rng.random(len(Trouble))
        return [trouble for trouble, drawn in zip(Trouble, chance.tolist(), strict=True) if drawn < self.rates.get(trouble, 0.0)]


def read_rates(texts: Sequence[str], file: Path | None = None) -> dict[Trouble, float]:
    """Read rates from a TOML file and then from NAME=RATE texts, of which the later count.

    Raises
    ------
    InputError
        If the file cannot be read, a name is unknown or a rate is no number from 0 to 1.
    """
    said: list[tuple[str, str, object]] = []
    if file is not None:
        try:
            said += [(str(file), name, rate) for name, rate in tomllib.loads(file.read_text(encoding="utf-8")).items()]
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(f"{file}: not readable as TOML: {error}") from None
    for text in texts:
        name, _, rate = text.partition("=")
        said.append((f"--anomaly {text}", name.strip(), rate))
    out: dict[Trouble, float] = {}
    for where, name, value in said:
        if name != ALL and name not in NAMES:
            raise InputError(f"{where}: {name!r}: allowed are {', '.join([*NAMES, ALL])}")
        out |= dict.fromkeys(Trouble if name == ALL else (NAMES[name],), _rate(where, name, value))
    return out


def _rate(where: str, name: str, value: object) -> float:
    try:
        rate = float(value) if isinstance(value, (int, float, str)) else -1.0
    except ValueError:
        rate = -1.0
    if not 0.0 <= rate <= 1.0:
        raise InputError(f"{where}: {name} = {value!r}: allowed is the chance on a run, a number from 0 to 1")
    return rate
