"""Waits for many file descriptors at once, with epoll, whose cost depends only on how many are ready.

gevent removes `select.epoll` from a program that it patches, as waiting in it would stop every greenlet. In such a
program `select.select`, which gevent replaces by a wait of one greenlet, waits for the descriptor of the epoll.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from typing import TypeAlias

from shardstore.limits import SECOND_NS
from shardstore.seams.effects import Incoming

READABLE: int = select.EPOLLIN
WRITABLE: int = select.EPOLLOUT

WhenReady: TypeAlias = Callable[[int, list[Incoming]], None]
"""A function called with the events of a ready descriptor; it appends the messages that it reads."""


class Readiness:
    """A set of descriptors, with the function to call when each is ready."""

    def __init__(self) -> None:
        self._is_patched = is_patched()
        self._epoll: select.epoll = _original_epoll() if self._is_patched else select.epoll()
        self._ready: dict[int, WhenReady] = {}

    def add(self, descriptor: int, events: int, ready: WhenReady) -> None:
        """Watch a descriptor for these events."""
        self._epoll.register(descriptor, events)
        self._ready[descriptor] = ready

    def change(self, descriptor: int, events: int) -> None:
        """Watch a descriptor for other events from now on."""
        self._epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        """Stop watching a descriptor. Must be called before it is closed, as a forked child may keep it open."""
        if self._ready.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def poll(self, timeout_ns: int | None) -> list[tuple[int, int]]:
        """Wait until a descriptor is ready or the timeout ends (rounded up to milliseconds); return the ready ones.

        A descriptor that is ready and not served is ready again at the next poll.
        """
        timeout = None if timeout_ns is None else timeout_ns / SECOND_NS
        if self._is_patched:
            select.select([self._epoll], [], [], timeout)
            timeout = 0
        return self._epoll.poll(timeout)

    def serve(self, polled: list[tuple[int, int]], received: list[Incoming]) -> None:
        """Call the functions of the descriptors that `poll` returned."""
        for descriptor, events in polled:
            ready = self._ready.get(descriptor)
            if ready is not None:  # a function called before this one may have removed it
                ready(events, received)

    def fileno(self) -> int:
        """Return a descriptor that is readable while any watched descriptor is ready."""
        return self._epoll.fileno()

    def close(self) -> None:
        """Close the epoll."""
        self._ready.clear()
        self._epoll.close()


def is_patched() -> bool:
    """Whether gevent has patched this program."""
    return not hasattr(select, "epoll")


def _original_epoll() -> select.epoll:
    epoll: select.epoll = sys.modules["gevent.monkey"].get_original("select", "epoll")()
    return epoll
