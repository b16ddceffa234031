"""The configuration: everything the monitor is told, read from its folder and checked together.

A configuration folder holds `monitor.toml`, `contacts.toml` and `policies.toml`. Paths inside are relative to the working folder.
While the monitor runs it can be read anew: limits, places, routes, trips, permits, contacts and policies are taken over then; any
other setting needs a restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import shapely

from monitor.alerts.channels import ADDRESSING
from monitor.alerts.contacts import Contacts, load_contacts
from monitor.alerts.handling import Desk
from monitor.alerts.policies import Policies, load_policies
from monitor.alerts.whereabouts import Landmark
from monitor.errors import ConfigurationError
from monitor.history import SECTIONS, Key, stated
from monitor.ingest.feeds import check_feeds
from monitor.permits import Permits
from monitor.permits_file import load_authorizations, load_lockdowns
from monitor.places import Geofences, load_geofences
from monitor.settings import Settings, effective, load_settings
from monitor.trips import Trips, load_trips
from monitor.world import World, checked_world

SETTINGS, CONTACTS, POLICIES = "monitor.toml", "contacts.toml", "policies.toml"
RELOADED = ("geofences", "trips", "authorizations", "lockdowns", *SECTIONS)
"""The settings that may change while the program runs; so may contacts and policies."""


@dataclass(frozen=True)
class Configuration:
    """All of it, checked."""

    settings: Settings
    geofences: Geofences
    world: World
    contacts: Contacts
    policies: Policies
    folder: Path = Path()
    assignments: tuple[str, ...] = ()
    unheeded: tuple[str, ...] = ()
    """The keys that say something else than the program was started with; they need a restart."""

    def said(self) -> dict[Key, str]:
        """Everything in it that may change over event time."""
        return stated(self.settings, self.geofences, self.world.trips, self.world.permits)

    def reread(self) -> Configuration:
        """Read it anew, for a program that runs by this one.

        Raises
        ------
        ConfigurationError
            With every fault of every file that could be read.
        """
        return load_configuration(self.folder, self.assignments, self.settings)

    def desk(self, command: str = "monitor") -> Desk:
        """What the handling of incidents goes by; `command` is what people type to run the program."""
        names = {place.id: place.name for place in self.geofences.places}
        names |= {route.id: route.name for route in self.geofences.routes}
        return Desk.of(self.settings, self.policies, self.contacts, landmarks(self.geofences), names, command, self.world)


def load_configuration(folder: Path, assignments: Sequence[str] = (), running: Settings | None = None) -> Configuration:
    """Read a configuration folder; `assignments` (`KEY=VALUE`) come over its settings.

    With `running`, the settings that a program was started with, these hold for all that cannot change while it runs.

    Raises
    ------
    ConfigurationError
        With every fault of every file that could be read.
    """
    if not folder.is_dir():
        raise ConfigurationError([f"{folder}: there is no such configuration folder; --config names another"])
    settings = load_settings(folder / SETTINGS, assignments)
    unheeded: tuple[str, ...] = ()
    if running is not None:
        settings, unheeded = _while_running(settings, running)
    faults = check_feeds(settings)
    world, geofences = None, None
    try:
        geofences = load_geofences(Path(settings.geofences), settings.timezone)
        world = load_world(settings, geofences)
    except ConfigurationError as error:
        faults += error.faults
    contacts: Contacts | None = None
    policies: Policies | None = None
    try:
        contacts = load_contacts(folder / CONTACTS, ADDRESSING)
        policies = load_policies(folder / POLICIES, contacts)
    except ConfigurationError as error:
        faults += error.faults
    if faults or world is None or geofences is None or contacts is None or policies is None:
        raise ConfigurationError(faults)
    return Configuration(settings, geofences, world, contacts, policies, folder, tuple(assignments), unheeded)


def _while_running(read: Settings, running: Settings) -> tuple[Settings, tuple[str, ...]]:
    """The settings that a program goes on by, and the keys that it would need a restart for."""
    heeded = replace(running, **{name: getattr(read, name) for name in RELOADED})
    rest = replace(read, **{name: getattr(running, name) for name in RELOADED})
    said, held = ({setting.key: setting.value for setting in effective(settings)} for settings in (rest, running))
    return heeded, tuple(key for key in dict.fromkeys([*said, *held]) if said.get(key) != held.get(key))


def load_world(settings: Settings, geofences: Geofences) -> World:
    """Read the trips, authorizations and lockdowns that the settings name and make the world of them.

    Raises
    ------
    ConfigurationError
        If they are wrong, or name places and routes there are none of.
    """
    trips = load_trips(Path(settings.trips)) if settings.trips else Trips()
    authorizations = load_authorizations(Path(settings.authorizations)) if settings.authorizations else ()
    lockdowns = load_lockdowns(Path(settings.lockdowns)) if settings.lockdowns else ()
    return checked_world(settings, geofences, trips, settings.trips, Permits(authorizations, lockdowns))


def landmarks(geofences: Geofences) -> list[Landmark]:
    """The places by which people are told where something is."""
    points = [(place.name, shapely.centroid(place.geometry)) for place in geofences.places if place.kind != "no_stop"]
    return [(name, shapely.get_x(point).item(), shapely.get_y(point).item()) for name, point in points]
