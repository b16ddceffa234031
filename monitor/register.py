"""The register: what is in force over event time, as the database keeps it, and the engine in step with it.

Every change of the configuration goes through here: rows are laid over the history, the world is made anew, and the engine judges
anew whom that concerns, in the transaction that stores the rows. What is acknowledged is on disk with everything it triggered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monitor.engine import Engine, Taken
from monitor.history import Key, Row, differences, edit, world_of
from monitor.settings import Settings
from monitor.store import configuration_store
from monitor.store.store import Store
from monitor.world import World

BY_FILES = "configuration files"
NAMED = 3
"""Changes that the reason of a withdrawal names one by one."""


class Register:
    """The history of one database. Not for several threads."""

    def __init__(self, store: Store, settings: Settings, said: Mapping[Key, str], now: int) -> None:
        """Read the history; at the very first start it is what the files say (`history.stated`), as if it had always been so."""
        self._store, self.settings = store, settings
        with store.read() as t:
            self.rows: tuple[Row, ...] = tuple(configuration_store.load(t))
        if not self.rows:
            first = edit((), differences((), said, now, BY_FILES)).rows
            with store.begin() as t:
                self.rows = configuration_store.save(t, (), first)

    def world(self) -> World:
        """The world of all that was ever in force."""
        return world_of(self.rows, self.settings)

    def restate(self, engine: Engine, said: Mapping[Key, str], now: int) -> Taken:
        """Take what the files say now."""
        return self.lay(engine, differences(self.rows, said, now, BY_FILES), now)

    def heed(self, engine: Engine, now: int) -> Taken:
        """Take what commands have written."""
        with self._store.read() as t:
            asked = configuration_store.pending(t)
        return self.lay(engine, asked, now)

    def lay(self, engine: Engine, news: Sequence[Row], now: int) -> Taken:
        """Lay rows over the history and judge anew whom they concern, all or nothing."""
        if not news:
            return Taken(0, (), {})
        edited = edit(self.rows, news)
        taken, self.rows = engine.reconfigure(
            world_of(edited.rows, self.settings),
            edited.effects,
            now,
            _reason(news),
            lambda t: configuration_store.save(t, self.rows, edited.rows),
        )
        return taken


def _reason(news: Sequence[Row]) -> str:
    """Why signals vanish with a change."""
    things = [f"{row.kind} {row.name}" for row in news]
    more = [f"and {len(things) - NAMED} more"] if len(things) > NAMED else []
    return f"the configuration was changed: {', '.join([*things[:NAMED], *more])}"
