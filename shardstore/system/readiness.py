"""Waits for many file descriptors at once, with epoll: what a wait costs depends on those that are ready only.

In a program that gevent has patched, `select.epoll` is gone, as its wait would stop every greenlet. There the wait is
one of `select.select` for the epoll itself, which gevent has made one of the greenlet only.
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

Ready: TypeAlias = Callable[[int, list[Incoming]], None]
"""Called with the events of a ready descriptor; appends the messages that it takes."""


class Readiness:
    """Descriptors, and what to call when one of them is ready."""

    def __init__(self) -> None:
        self._is_patched = is_patched()
        self._epoll: select.epoll = _original_epoll() if self._is_patched else select.epoll()
        self._ready: dict[int, Ready] = {}

    def add(self, descriptor: int, events: int, ready: Ready) -> None:
        """Watch a descriptor."""
        self._epoll.register(descriptor, events)
        self._ready[descriptor] = ready

    def change(self, descriptor: int, events: int) -> None:
        """Watch it for other events from now on."""
        self._epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        """Watch it no more, if it is watched. To be called before it is closed: a fork may hold it open."""
        if self._ready.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def poll(self, timeout_ns: int | None) -> list[tuple[int, int]]:
        """Wait until a descriptor is ready or the timeout is over, rounded up to milliseconds; those that are.

        What is ready and not served is ready again at the next poll.
        """
        timeout = None if timeout_ns is None else timeout_ns / SECOND_NS
        if self._is_patched:
            select.select([self._epoll], [], [], timeout)
            timeout = 0
        return self._epoll.poll(timeout)

    def serve(self, polled: list[tuple[int, int]], received: list[Incoming]) -> None:
        """Let those that were ready take what came."""
        for descriptor, events in polled:
            ready = self._ready.get(descriptor)
            if ready is not None:  # else it was removed by another a moment ago
                ready(events, received)

    def fileno(self) -> int:
        """A descriptor that is readable while any of them is ready."""
        return self._epoll.fileno()

    def close(self) -> None:
        """Watch nothing any more."""
        self._ready.clear()
        self._epoll.close()


def is_patched() -> bool:
    """Whether gevent has patched this program."""
    return not hasattr(select, "epoll")


def _original_epoll() -> select.epoll:
    epoll: select.epoll = sys.modules["gevent.monkey"].get_original("select", "epoll")()
    return epoll
