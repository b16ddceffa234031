"""The configuration: everything the monitor is told, read from its folder and checked together.

A configuration folder holds `monitor.toml`, `contacts.toml` and `policies.toml`. Paths inside are relative to the working folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import shapely

from monitor.alerts.channels import ADDRESSING
from monitor.alerts.contacts import Contacts, load_contacts
from monitor.alerts.handling import Desk
from monitor.alerts.policies import Policies, load_policies
from monitor.alerts.whereabouts import Landmark
from monitor.errors import ConfigurationError
from monitor.places import Geofences, load_geofences
from monitor.settings import Settings, load_settings
from monitor.trips import Trips, load_trips
from monitor.world import World, checked_world

SETTINGS, CONTACTS, POLICIES = "monitor.toml", "contacts.toml", "policies.toml"


@dataclass(frozen=True)
class Configuration:
    """All of it, checked."""

    settings: Settings
    geofences: Geofences
    world: World
    contacts: Contacts
    policies: Policies

    def desk(self, command: str = "monitor") -> Desk:
        """What the handling of incidents goes by; `command` is what people type to run the program."""
        names = {place.id: place.name for place in self.geofences.places}
        names |= {route.id: route.name for route in self.geofences.routes}
        return Desk.of(self.settings, self.policies, self.contacts, landmarks(self.geofences), names, command)


def load_configuration(folder: Path, assignments: Sequence[str] = ()) -> Configuration:
    """Read a configuration folder; `assignments` (`KEY=VALUE`) come over its settings.

    Raises
    ------
    ConfigurationError
        With every fault of every file that could be read.
    """
    if not folder.is_dir():
        raise ConfigurationError([f"{folder}: there is no such configuration folder; --config names another"])
    settings = load_settings(folder / SETTINGS, assignments)
    faults: list[str] = []
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
    return Configuration(settings, geofences, world, contacts, policies)


def load_world(settings: Settings, geofences: Geofences) -> World:
    """Read the trips that the settings name and make the world of them.

    Raises
    ------
    ConfigurationError
        If the trips are wrong, or name places and routes there are none of.
    """
    trips = load_trips(Path(settings.trips)) if settings.trips else Trips()
    return checked_world(settings, geofences, trips, settings.trips)


def landmarks(geofences: Geofences) -> list[Landmark]:
    """The places by which people are told where something is."""
    points = [(place.name, shapely.centroid(place.geometry)) for place in geofences.places if place.kind != "no_stop"]
    return [(name, shapely.get_x(point).item(), shapely.get_y(point).item()) for name, point in points]
