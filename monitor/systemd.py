"""What systemd is told: that the program is ready, that it is alive, that it ends; nothing where another started it.

Source: sd_notify(3), a datagram to the socket that `NOTIFY_SOCKET` names. A name that begins with `@` is of the abstract kind.
"""

from __future__ import annotations

import os
import socket

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"
SOCKET = "NOTIFY_SOCKET"
"""systemd tells where by the environment, and in no other way."""


def notify(*said: str) -> bool:
    """Tell it; gives whether anybody listens."""
    address = os.environ.get(SOCKET, "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0)
            sender.sendto("\n".join(said).encode(), address)
    except OSError:  # whoever started us is gone, or does not read: that is no reason to stop
        return False
    return True
