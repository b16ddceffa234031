"""The commands that allow, forbid and judge anew: authorize, lockdown, adjudicate.

The first two write a row into the database; the monitor that runs, or the next one that starts, takes it into force.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from monitor.alerts import handling
from monitor.clock import Clock, clock_beside
from monitor.commands.speaking import progress_bar, say, show
from monitor.configuration import Configuration, load_configuration
from monitor.engine import Engine
from monitor.errors import ConfigurationError, InputError, ServiceError, StoreError
from monitor.fixes import Fleet, VehicleId
from monitor.history import planned
from monitor.permits import SPOT_M, Authorization, Lockdown
from monitor.permits_file import read_authorization, read_lockdown
from monitor.places import require
from monitor.register import Register
from monitor.signals import timestamp
from monitor.store import configuration_store, tracks
from monitor.store.archive import folder_in
from monitor.store.store import Store
from monitor.trips import DEFAULT_CARRIER

SOURCE = "person"
P = TypeVar("P", Authorization, Lockdown)


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands and what they take."""
    words = "let a vehicle stand for a while: here, in a place, at a spot, or anywhere"
    authorize = commands.add_parser("authorize", help=words, description=words)
    authorize.set_defaults(run=authorize_vehicle)
    authorize.add_argument("vehicle", metavar="VEHICLE", help="VEHICLE or CARRIER/VEHICLE")
    where = authorize.add_mutually_exclusive_group()
    where.add_argument("--here", action="store_true", help="where it was last seen")
    where.add_argument("--place", metavar="ID", help="in this place")
    where.add_argument("--at", metavar="LAT,LON", help="around this spot, degrees")
    authorize.add_argument("--radius", type=float, default=SPOT_M, metavar="M", help="metres around the spot (%(default)g)")
    _interval(authorize)

    words = "let nothing move for a while: out of a place, one vehicle, or all of a carrier"
    lockdown = commands.add_parser("lockdown", help=words, description=words)
    lockdown.set_defaults(run=lock_down)
    what = lockdown.add_mutually_exclusive_group(required=True)
    what.add_argument("place", nargs="?", metavar="PLACE", help="the id of a place")
    what.add_argument("--vehicle", metavar="VEHICLE", help="VEHICLE or CARRIER/VEHICLE")
    what.add_argument("--carrier", metavar="CARRIER", help="every vehicle of a carrier")
    _interval(lockdown)

    words = "judge anew, now, the vehicles whose fixes or changes came too late to rewind to"
    adjudicate = commands.add_parser("adjudicate", help=words, description=words)
    adjudicate.set_defaults(run=judge_anew)
    _configured(adjudicate)


def authorize_vehicle(options: argparse.Namespace) -> None:
    """Write an authorization."""
    with _opened(options) as (configuration, store, clock):
        vehicle, now = _vehicle(options.vehicle), clock()
        record = {**_said(options, "authorization", now), "carrier": vehicle.carrier, "vehicle": vehicle.vehicle}
        record |= {"place": options.place} | _spot(options, store, vehicle, folder_in(configuration.settings))
        permit = _checked(read_authorization, record, configuration)
        _ask(store, permit, now)
    where = (
        f"in {permit.place}" if permit.place else "anywhere" if permit.lat is None else f"at {permit.lat:.5f},{permit.lon:.5f}"
    )
    show(f"{permit.id}: {vehicle.carrier}/{vehicle.vehicle} may stand {where} {_words(permit)}")


def lock_down(options: argparse.Namespace) -> None:
    """Write a lockdown."""
    with _opened(options) as (configuration, store, clock):
        now = clock()
        record = {**_said(options, "lockdown", now), "place": options.place, "carrier": options.carrier}
        if options.vehicle:
            vehicle = _vehicle(options.vehicle)
            record |= {"carrier": vehicle.carrier, "vehicle": vehicle.vehicle}
        permit = _checked(read_lockdown, record, configuration)
        _ask(store, permit, now)
    what = options.place or options.vehicle or f"carrier {options.carrier}"
    show(f"{permit.id}: {what} locked down {_words(permit)}")


def judge_anew(options: argparse.Namespace) -> None:
    """Adjudicate: here where no monitor runs on the database, else have the one that runs do it."""
    with _opened(options) as (configuration, store, clock):
        try:
            lock = store.hold()
        except StoreError:
            running = store.holder()
            if running is None:
                raise
            try:
                os.kill(running, signal.SIGUSR1)
            except OSError as error:
                raise ServiceError(f"process {running}, which holds the database, cannot be asked: {error.strerror}") from None
            show(f"the monitor that runs (process {running}) was asked to judge anew the vehicles that wait")
            return
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # somebody else may ask, and it is being done
        with lock:
            history = Register(store, configuration.settings, configuration.said(), clock())
            desk, folder = configuration.desk(), folder_in(configuration.settings)
            engine = Engine(
                store, history.world(), Fleet(), lambda t, changes, now, _: handling.process(t, changes, now, desk), folder
            )
            engine.resume()
            waiting = engine.waiting()
            with progress_bar("judging anew") as progress:
                for done, vehicle in enumerate(waiting, 1):
                    engine.adjudicate(vehicle, clock())
                    progress(done, len(waiting))
    judged = [f"{vehicle.carrier}/{vehicle.vehicle} was judged anew" for vehicle in waiting]
    show(*(judged or ["no vehicle waits"]))


@contextmanager
def _opened(options: argparse.Namespace) -> Iterator[tuple[Configuration, Store, Clock]]:
    configuration = load_configuration(options.config, options.set)
    store = Store.of(configuration.settings.store, create=False)
    try:
        yield configuration, store, clock_beside(store.file)
    finally:
        store.close()


def _said(options: argparse.Namespace, what: str, now: int) -> dict[str, object]:
    """The fields that both have."""
    return {
        "id": f"{what}-{secrets.token_hex(4)}",
        "from": options.begin or timestamp(now),
        "until": options.until,
        "why": options.why,
        "by": options.by,
    }


def _spot(options: argparse.Namespace, store: Store, vehicle: VehicleId, folder: Path | None) -> dict[str, object]:
    """The spot of an authorization, if it names one."""
    if options.here:
        with store.read() as t:
            found = tracks.newest_position(t, folder, vehicle)
        if found is None:
            raise InputError(
                f"--here: no position of {vehicle.carrier}/{vehicle.vehicle} is stored; "
                "allowed is a vehicle that was heard, as CARRIER/VEHICLE"
            )
        return {"lon": found[0], "lat": found[1], "radius_m": options.radius}
    if options.at:
        lat, _, lon = options.at.partition(",")
        return {"lat": lat.strip(), "lon": lon.strip() or "?", "radius_m": options.radius}
    return {}


def _checked(read: Callable[[Mapping[str, Any], str, list[str]], P | None], record: Mapping[str, Any], of: Configuration) -> P:
    """The permit of a record, or what is wrong with it, also with its place."""
    faults: list[str] = []
    permit = read(record, "command line", faults)
    if record["place"] and (fault := require([place.id for place in of.geofences.places], record["place"], "place")):
        faults.append(f"command line: {fault}")
    if faults or permit is None:
        raise ConfigurationError(faults)
    return permit


def _vehicle(text: str) -> VehicleId:
    carrier, slash, vehicle = text.partition("/")
    if not carrier or (slash and not vehicle):
        raise InputError(f"{text}: allowed is VEHICLE or CARRIER/VEHICLE")
    return VehicleId(carrier, vehicle) if slash else VehicleId(DEFAULT_CARRIER, text)


def _ask(store: Store, permit: Authorization | Lockdown, now: int) -> None:
    with store.begin() as t:
        configuration_store.ask(t, planned(permit, SOURCE, permit.by, now))
        known = t.vehicles()
    if permit.vehicle and VehicleId(permit.carrier or "", permit.vehicle) not in known:
        say(f"monitor: note: nothing was ever heard of {permit.carrier}/{permit.vehicle}; is it spelled like that?")


def _words(permit: Authorization | Lockdown) -> str:
    return f"from {timestamp(permit.starts_at)} until {timestamp(permit.ends_at)}"


def _interval(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="begin", metavar="TIME", help="RFC 3339 with a zone (now)")
    parser.add_argument("--until", required=True, metavar="TIME", help="RFC 3339 with a zone")
    parser.add_argument("--why", required=True, help="in your words")
    parser.add_argument("--by", required=True, metavar="NAME", help="who says so")
    _configured(parser)


def _configured(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, default=Path("config"), metavar="DIR", help="the configuration folder (%(default)s)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as in monitor.toml; may be repeated"
    )
