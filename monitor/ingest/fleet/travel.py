"""How what a device has measured travels: holes in the coverage, uploads afterwards, duplicates; pure and seeded.

In a hole the device goes on measuring and sends nothing; afterwards it uploads what it has kept. Nothing of it changes what is true,
only when it is known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from monitor.ingest.fleet.measuring import fixed, unit

SLOT_MS = 3_600_000
"""At most one hole in each hour, and none reaches into the next."""
HOLE_MIN = (3.0, 40.0)


class Travel(NamedTuple):
    """What happens on the way.

    `holes_a_day`: of one vehicle, at most 24. `duplicates`: the chance that a message is sent twice. `newest_first`: the order in
    which a backlog is uploaded.
    """

    holes_a_day: float = 0.0
    duplicates: float = 0.0
    newest_first: bool = False

    def held(self, vehicle: int, now: int) -> int:
        """Until when (ms) a vehicle has no coverage; `now` where it has."""
        if not self.holes_a_day:
            return now
        slot, into = divmod(now, SLOT_MS)
        chance, length, place = unit(fixed(vehicle, slot), np.arange(3)).tolist()
        if chance > self.holes_a_day / 24.0:
            return now
        hole = 60_000.0 * (HOLE_MIN[0] + (HOLE_MIN[1] - HOLE_MIN[0]) * length)
        begin = (SLOT_MS - hole) * place
        return slot * SLOT_MS + int(begin + hole) + 1 if begin <= into <= begin + hole else now

    def twice(self, vehicle: int, through: int) -> bool:
        """Whether a vehicle sends the message that ends at this instant (ms) twice."""
        return bool(self.duplicates) and float(unit(fixed(vehicle, 1), np.array([through]))[0]) <= self.duplicates


NOTHING_HAPPENS = Travel()
