"""A wire between a client and a server that can be cut at the worst instant."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Literal

Cut = Literal["before", "after"]
COMMIT = b"COMMIT\x00"


class Wire:
    """Takes connections on `port` and passes on what is said, until it is told to cut.

    `cut` = "before": the next COMMIT is not passed on, and its connection is closed. "after": it is passed on, and the connection is
    closed when the server answers, without a word of the answer. While it is `away`, nobody gets through; `leaves` says that it is
    from the cut on.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.cut: Cut | None = None
        self.cuts = 0
        self.away = False
        self.open, self.leaves = True, False
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Cut everything for good."""
        self.open = False
        _end(self._listening, *self._sockets)

    def cut_all(self) -> None:
        """Cut every connection there is; new ones are taken."""
        _end(*self._sockets)
        self._sockets.clear()

    def _accept(self) -> None:
        while self.open:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self.away:
                _end(client)
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self._sockets += [client, server]
            doomed = threading.Event()
            for words in ((client, server, doomed, True), (server, client, doomed, False)):
                threading.Thread(target=self._pass, args=words, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, doomed: threading.Event, asks: bool) -> None:
        with ExitStack() as over, suppress(OSError):
            over.callback(_end, source, sink)
            while data := source.recv(65536):
                if asks and self.cut and COMMIT in data:
                    self.cuts += 1
                    self.away = self.leaves
                    doomed.set()
                    now, self.cut = self.cut, None
                    if now == "before":
                        return
                elif not asks and doomed.is_set():
                    return
                sink.sendall(data)


def _end(*sockets: socket.socket) -> None:
    """Close them at once, also for those who are just reading from them."""
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


@contextmanager
def wire(target: int) -> Iterator[Wire]:
    """A wire to a port of this machine."""
    made = Wire(target)
    try:
        yield made
    finally:
        made.close()
