"""Checks of what is reached over the network: our own ports, certificates, the broker, the mail server."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from monitor.doctor.lines import Installation, Line, fail, ok, warn
from monitor.errors import MonitorError
from monitor.ingest.feeds import check_feeds
from monitor.ingest.listener import warnings
from monitor.ingest.uplink.client import warnings as unprotected
from monitor.settings import Settings
from monitor.store.store import Store

TIMEOUT_S = 5.0
SOON_DAYS = 21
DAY_MS = 86_400_000


class Address(NamedTuple):
    """Where we listen, or what we talk to, and the setting that says so."""

    key: str
    host: str
    port: int


def ports(installation: Installation) -> Iterator[Line]:
    """Our ports are free, or a monitor serves on them already."""
    settings = installation.configuration.settings
    for key, host, port in _listening(settings):
        if port == 0:
            yield ok(key, "takes any free port")
        elif reason := _taken(host, port):
            holder = _holder(settings)
            if holder is not None:
                yield ok(key, f"{host} port {port} {reason}, and monitor {holder} runs")
            else:
                yield fail(key, f"{host} port {port} {reason}, and no monitor runs", "end the other program, or set another port")
        else:
            yield ok(key, f"{host} port {port} is free")


def certificates(installation: Installation) -> Iterator[Line]:
    """Our certificates fit their keys and do not run out soon."""
    settings = installation.configuration.settings
    served = [("web", settings.web.tls_certificate, settings.web.tls_key)] if settings.web.enabled else []
    if settings.ingest.source != "broker":
        listener = settings.ingest.listener
        served.append(("ingest.listener", listener.tls_certificate, listener.tls_key))
    for where, chain, key in served:
        if chain:
            yield _certified(f"{where}.tls_certificate", Path(chain), Path(key), installation.now)


def exposure(installation: Installation) -> Iterator[Line]:
    """Nothing is open to the network without protection."""
    settings = installation.configuration.settings
    for text in warnings(settings.ingest) if settings.ingest.source != "broker" else ():
        yield warn("ingest.listener", text, "put it right in monitor.toml, or raise the limit of open files")
    for text in unprotected(settings.ingest.broker) if settings.ingest.source != "listener" else ():
        yield warn("ingest.broker", text, "put it right in monitor.toml")
    for text in check_feeds(settings):
        yield fail("ingest.feed", text, "put it right in monitor.toml")
    web = settings.web
    if web.enabled and not _at_home(web.host) and not web.tls_certificate:
        yield warn(
            "web.host",
            f"{web.host}: tokens travel in the clear",
            "set web.tls_certificate, or listen on 127.0.0.1 behind a proxy",
        )
    if web.enabled and not _at_home(web.host) and not web.token_file:
        yield warn("web.token_file", "anybody on the network may read /metrics", "set it")


def others(installation: Installation) -> Iterator[Line]:
    """Those whom we talk to can be reached."""
    settings = installation.configuration.settings
    wanted = []
    if settings.ingest.source != "listener":
        wanted.append(Address("ingest.broker", settings.ingest.broker.host, settings.ingest.broker.port))
    if settings.alerts.smtp.host:
        wanted.append(Address("alerts.smtp", settings.alerts.smtp.host, settings.alerts.smtp.port))
    for key, host, port in wanted:
        try:
            with socket.create_connection((host, port), TIMEOUT_S):
                yield ok(key, f"{host} port {port} can be reached")
        except OSError as error:
            yield fail(
                key,
                f"{host} port {port} cannot be reached: {error.strerror or error}",
                "look at its name, its port, the firewall",
            )


def _listening(settings: Settings) -> Iterator[Address]:
    if settings.ingest.source != "broker":
        yield Address("ingest.listener.port", settings.ingest.listener.host, settings.ingest.listener.port)
    if settings.web.enabled:
        yield Address("web.port", settings.web.host, settings.web.port)


def _taken(host: str, port: int) -> str:
    """Why it cannot be listened on; empty where it can."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        return f"cannot be listened on ({error.strerror or error})"
    return ""


def _holder(settings: Settings) -> int | None:
    """The process of the monitor that runs on the database; None where none does, or nothing is known of it."""
    try:
        store = Store.of(settings.store, create=False)
    except MonitorError:
        return None
    try:
        return store.holder()
    except MonitorError:
        return None
    finally:
        store.close()


def _at_home(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _certified(what: str, chain: Path, key: Path, now: int) -> Line:
    try:
        until = _runs_until(chain, key)
    except (OSError, ssl.SSLError) as error:
        return fail(what, f"{chain} cannot be used: {error}", "put a certificate chain and its key there, as PEM")
    days = (until * 1000 - now) // DAY_MS
    if days < 0:
        return fail(what, f"{chain} ran out {-days} days ago", "renew it, and reload (SIGHUP)")
    if days < SOON_DAYS:
        return warn(what, f"{chain} runs out in {days} days", "renew it, and reload (SIGHUP)")
    return ok(what, f"{chain} runs out in {days} days")


def _runs_until(chain: Path, key: Path) -> int:
    """Until when a certificate is valid (s since 1970): what it says in a handshake with ourselves, trusted for that whatever it is."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain, key, password="")  # one that needs a password would ask for it on the terminal
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(chain)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours, theirs = client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)
    for _ in range(4):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                if error.verify_code == EXPIRED:
                    return 0
                raise
    said = (ours.getpeercert() or {}).get("notAfter", "")
    return int(ssl.cert_time_to_seconds(str(said)))


EXPIRED = 10
"""X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL."""
