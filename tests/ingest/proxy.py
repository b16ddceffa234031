"""A TCP proxy that can cut the line without a word, as a network does."""

from __future__ import annotations

import contextlib
import socket
import threading


class Proxy:
    """Passes bytes on between who connects here and a port; while `cut`, it takes them and passes nothing."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.connections = 0
        self._cut: set[socket.socket] = set()
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Pass on nothing more of the connections of now; those that come later work."""
        self._cut = set(self._open)

    def close(self) -> None:
        """Hang up on everybody."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for side in self._open:
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._to), 10)
            except OSError:
                return
            far.settimeout(None)
            self.connections += 1
            self._open += [near, far]
            for here, there in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(here, there), daemon=True).start()

    def _pass_on(self, here: socket.socket, there: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := here.recv(65_536):
                if here not in self._cut:
                    there.sendall(data)
        if here not in self._cut:
            with contextlib.suppress(OSError):
                there.shutdown(socket.SHUT_RDWR)
