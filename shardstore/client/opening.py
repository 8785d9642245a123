"""What a client runs on: the real transport, clock and entropy, put together for one endpoint."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple, Protocol

from shardstore.client.session import Session
from shardstore.clock import Clock
from shardstore.errors import InvalidRequest
from shardstore.system_clock import SystemClock
from shardstore.system_entropy import SystemEntropy
from shardstore.transport import Transport
from shardstore.zmq_transport import ZmqTransport

_IPC = "ipc://"
_TCP = "tcp://"


class WatchedTransport(Transport, Protocol):
    """A transport that a foreign event loop can wait for."""

    def descriptors(self) -> list[int]:
        """File descriptors that become readable when `receive` may have something; see ZmqTransport."""


class Surroundings(NamedTuple):
    """What a client is built on; `new_session` is called again if a session has to be replaced."""

    transport: WatchedTransport
    clock: Clock
    new_session: Callable[[], Session]


def surroundings_of(url: str, direct: bool) -> Surroundings:
    """The real surroundings for a cluster's url. Raises InvalidRequest."""
    if not isinstance(url, str) or not url.startswith((_IPC, _TCP)):
        raise InvalidRequest(f"a cluster's url begins with {_IPC} or {_TCP}, not {url!r}")
    entropy = SystemEntropy()
    return Surroundings(ZmqTransport(), SystemClock(), lambda: Session(url, entropy, direct, _reachable))


def _reachable(endpoint: str) -> bool:
    """Whether a connection from here may succeed: any tcp endpoint, and an ipc endpoint of this host."""
    return endpoint.startswith(_TCP) or os.path.exists(endpoint.removeprefix(_IPC))
