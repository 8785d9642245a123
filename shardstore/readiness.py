"""Waits for many file descriptors at once, with epoll: what a wait costs depends on those that are ready only."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import TypeAlias

from shardstore.effects import Incoming
from shardstore.limits import SECOND_NS

READABLE: int = select.EPOLLIN
WRITABLE: int = select.EPOLLOUT

Ready: TypeAlias = Callable[[int, list[Incoming]], None]
"""Called with the events of a ready descriptor; appends the messages that it takes."""


class Readiness:
    """Descriptors, and what to call when one of them is ready."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Ready] = {}

    def add(self, descriptor: int, events: int, ready: Ready) -> None:
        """Watch a descriptor."""
        self._ready[descriptor] = ready
        self._epoll.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        """Watch it for other events from now on."""
        self._epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        """Watch it no more. To be called before it is closed: a fork may hold it open."""
        del self._ready[descriptor]
        self._epoll.unregister(descriptor)

    def wait(self, timeout_ns: int | None, received: list[Incoming]) -> None:
        """Wait until a descriptor is ready or the timeout is over, rounded up to milliseconds; serve those that are."""
        for descriptor, events in self._epoll.poll(None if timeout_ns is None else timeout_ns / SECOND_NS):
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
