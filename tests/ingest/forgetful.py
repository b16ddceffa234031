"""A stand-in for a broker that loses what it acknowledged, with a monitor behind it that says what it has."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
from collections.abc import Callable, Set
from typing import Any

from monitor.ingest.mqtt import packets
from monitor.ingest.sequence import NOTHING, Received, received
from tests.ingest import wire
from tests.ingest.wire import PATIENCE_S, Wire

QUIET_S = 0.1
"""Nothing more comes after so long."""


def fixes_in(payload: bytes) -> list[dict[str, Any]]:
    """One fix or several."""
    said = json.loads(payload)
    return said if isinstance(said, list) else [said]


class Forgetful:
    """Takes every connection and acknowledges every message, forgets some of them, and tells on `/ack` what it did not.

    `hangs_up_at`: the number of the message that it answers by closing the connection. `receive_maximum`: what it tells clients of
    MQTT 5; then it is slow to acknowledge, and notes how many messages waited for it at the most.
    """

    def __init__(
        self, forgets: Callable[[int], bool], *, tells: bool = True, hangs_up_at: int = 0, receive_maximum: int = 0
    ) -> None:
        self.kept: dict[tuple[str, str], set[int]] = {}
        self.times: set[tuple[str, object]] = set()
        self.messages = 0
        self.most_waiting: dict[int, int] = {}
        self._hangs_up_at, self._receive_maximum = hangs_up_at, receive_maximum
        self._forgets, self._tells, self._changed = forgets, tells, threading.Condition()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._wires: list[Wire] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            peer = Wire.__new__(Wire)
            peer.socket = connection
            self._wires.append(peer)
            threading.Thread(target=self._guard, args=(peer,), daemon=True).start()

    def _guard(self, peer: Wire) -> None:
        with contextlib.suppress(OSError):  # closed under it at the end of a test
            self._serve(peer)

    def _serve(self, peer: Wire) -> None:
        version, slow = 0, bool(self._receive_maximum)
        waiting: list[bytes] = []
        while (found := self._next(peer, waiting if slow else [])) is not None:
            kind, body = found
            if kind == wire.CONNECT:
                version = body[6]
                most = b"\x03\x21" + self._receive_maximum.to_bytes(2, "big") if slow else b"\0"
                peer.send(wire.packet(wire.CONNACK << 4, b"\0\0" + (most if version == wire.V5 else b"")))
            elif kind == wire.SUBSCRIBE:
                peer.send(wire.packet(wire.SUBACK << 4, body[:2] + (b"\0" if version == wire.V5 else b"") + b"\1"))
            elif kind == wire.PUBLISH:
                topic, receipt, payload = packets.publish(0x32, body, version)
                if self.messages + 1 == self._hangs_up_at:
                    self.messages += 1
                    peer.close()
                    return
                waiting.append(receipt)
                self.most_waiting[version] = max(self.most_waiting.get(version, 0), len(waiting))
                if not slow:
                    peer.send(wire.packet(wire.PUBACK << 4, waiting.pop()))
                self._take(peer, topic.decode(), payload, version)

    @staticmethod
    def _next(peer: Wire, waiting: list[bytes]) -> tuple[int, bytes] | None:
        """Read the next packet; once none comes any more, acknowledge what waits."""
        if waiting and not select.select([peer.socket], [], [], QUIET_S)[0]:
            peer.send(b"".join(wire.packet(wire.PUBACK << 4, receipt) for receipt in waiting))
            waiting.clear()
        return peer.read()

    def _take(self, peer: Wire, topic: str, payload: bytes, version: int) -> None:
        vehicle, fixes = topic.split("/")[3], fixes_in(payload)
        with self._changed:
            self.messages += 1
            forgotten = self._forgets(self.messages)
            for fix in () if forgotten else fixes:
                if "boot" in fix:
                    self.kept.setdefault((vehicle, fix["boot"]), set()).add(fix["seq"])
                self.times.add((vehicle, fix["time"]))
            self._changed.notify_all()
            boots = {fix["boot"]: self._received(vehicle, fix["boot"]) for fix in fixes if "boot" in fix}
        for boot, state in boots.items() if self._tells and not forgotten else ():
            said = {"boot": boot, "through": state.through, "missing": state.missing}
            peer.send(wire.publish(topic.replace("/fix", "/ack"), json.dumps(said).encode(), version=version))

    def _received(self, vehicle: str, boot: str) -> Received:
        return received(NOTHING, self.kept.get((vehicle, boot), ()))

    def wait(self, claim: Callable[[Forgetful], bool]) -> None:
        """Wait until it has what it should; fail if it does not in time."""
        with self._changed:
            assert self._changed.wait_for(lambda: claim(self), PATIENCE_S), (self.messages, len(self.times))

    def has(self, fixes: Set[tuple[str, object]]) -> bool:
        """Whether it kept all of these, (vehicle, time)."""
        with self._changed:
            return self.times >= fixes

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
        for peer in self._wires:
            with contextlib.suppress(OSError):  # the device has gone already
                peer.socket.shutdown(socket.SHUT_RDWR)
            peer.close()
