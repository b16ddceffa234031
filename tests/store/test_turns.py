"""The fair lock: first come, first served; who gives up leaves the queue."""

from __future__ import annotations

import threading

from monitor.store.turns import Turns

LONG = 10.0


def waiting(turns: Turns, name: str, served: list[str]) -> threading.Thread:
    """A thread that waits for its turn, and is known to be in the queue when this returns."""
    before = len(turns._waiting)

    def wait() -> None:
        turns.acquire(LONG)
        served.append(name)
        turns.release()

    thread = threading.Thread(target=wait)
    thread.start()
    queued = threading.Event()
    while len(turns._waiting) == before:
        queued.wait(0.001)
    return thread


def test_it_is_handed_on_in_the_order_of_asking() -> None:
    """Whoever lets go and asks again stands behind those who waited."""
    turns = Turns()
    served: list[str] = []
    assert turns.acquire(LONG)
    threads = [waiting(turns, name, served) for name in ("first", "second", "third")]
    turns.release()
    assert turns.acquire(LONG)
    for thread in threads:
        thread.join(LONG)
    assert served == ["first", "second", "third"]


def test_who_gives_up_is_not_handed_anything() -> None:
    """A waiter whose time is over leaves the queue, and the lock is free for the next."""
    turns = Turns()
    assert turns.acquire(LONG)
    assert not turns.acquire(0.01)
    turns.release()
    assert turns.acquire(0.01)
