"""The server below the door: uvicorn in a loop of its own, with deadlines for clients that are slow or say nothing.

uvicorn bounds how long a connection may be idle between two requests. What it leaves open is closed here: a connection that never
asks, a request that never ends, an answer that is never read, more connections than allowed.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from pathlib import Path
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from monitor.errors import ServiceError
from monitor.settings import Web

CONNECTIONS = 1000
IDLE_S = 15
"""Between two requests."""
REQUEST_S = 60.0
"""From the first byte of a request, or from the connection, to the end of the request."""
LEAVE_S = 10
"""How long requests under way have, once nothing new is taken."""
BACKLOG = 256
HEAD_BYTES = 16_384


class Bounded(H11Protocol):
    """One connection, with deadlines."""

    connection_limit, request_s = CONNECTIONS, REQUEST_S
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it in, if there is room."""
        super().connection_made(transport)
        if len(self.connections) > self.connection_limit:
            transport.abort()
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._owed()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def timeout_keep_alive_handler(self) -> None:
        """Close it, and leave what the client did not read."""
        self.transport.abort()

    def _watch(self) -> None:
        if self.transport.is_closing() or self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._owed()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.request_s, self.transport.abort)

    def _owed(self) -> None:
        """Nothing is, any more."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def bound(settings: Web) -> socket.socket:
    """A socket on the address of the settings.

    Raises
    ------
    ServiceError
        If it cannot be listened on; the text says why.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        reasons = {errno.EADDRINUSE: "is in use", errno.EACCES: "needs more rights than this user has"}
        reason = reasons.get(error.errno or 0, f"cannot be listened on: {error.strerror or error}")
        where = f"port {settings.port} on {settings.host}"
        raise ServiceError(f"{where} {reason}; set web.port or web.host, or web.enabled = false") from error


def token_of(settings: Web) -> str:
    """The token that /metrics asks for; empty for none.

    Raises
    ------
    ServiceError
        If its file cannot be read, or its first line is empty.
    """
    if not settings.token_file:
        return ""
    said = f"web.token_file = {settings.token_file!r}"
    try:
        token = Path(settings.token_file).read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(f"{said}: not readable: {error}") from None
    if not token:
        raise ServiceError(f"{said}: its first line is empty; allowed is a token")
    return token


def tls(settings: Web) -> ssl.SSLContext | None:
    """What connections are protected with; None where they are not.

    Raises
    ------
    ServiceError
        If certificate and key cannot be used together.
    """
    if not settings.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load(context, settings)
    return context


def load(context: ssl.SSLContext, settings: Web) -> None:
    """Read certificate and key, for the connections to come.

    Raises
    ------
    ServiceError
        If they cannot be used; those read before stay in use.
    """
    said = f"web.tls_certificate = {settings.tls_certificate!r}, web.tls_key = {settings.tls_key!r}"
    for file in (settings.tls_certificate, settings.tls_key):
        if not Path(file).is_file():
            raise ServiceError(f"{said}: there is no such file")
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key, password="")  # it would ask on the terminal
    except (OSError, ssl.SSLError) as error:
        raise ServiceError(f"{said}: not a certificate chain and its key: {error}") from None


def server(app: ASGIApp, context: ssl.SSLContext | None) -> uvicorn.Server:
    """A server that writes no log of its own and leaves the signals alone."""
    more: dict[str, Any] = {"ssl_context_factory": lambda _config, _default: context} if context is not None else {}
    config = uvicorn.Config(
        app,
        http=Bounded,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=LEAVE_S,
        h11_max_incomplete_event_size=HEAD_BYTES,
        **more,
    )
    return uvicorn.Server(config)
