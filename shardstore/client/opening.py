"""What a client runs on: the real transport, clock and entropy, put together for one endpoint."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from shardstore.client.session import Session
from shardstore.clock import Clock
from shardstore.errors import InvalidRequest, Unavailable
from shardstore.socket_transport import SocketTransport
from shardstore.stream_links import SCHEME, path_of
from shardstore.system_clock import SystemClock
from shardstore.system_entropy import SystemEntropy
from shardstore.transport import ClientTransport

_IPC = "ipc://"
_TCP = "tcp://"


class Surroundings(NamedTuple):
    """What a client is built on; `new_session` is called again if a session has to be replaced."""

    transport: ClientTransport
    clock: Clock
    new_session: Callable[[], Session]


def surroundings_of(url: str, direct: bool) -> Surroundings:
    """The real surroundings for a cluster's url. Raises InvalidRequest, Unavailable."""
    if not isinstance(url, str) or not url.startswith((_IPC, _TCP)):
        raise InvalidRequest(f"a cluster's url begins with {_IPC} or {_TCP}, not {url!r}")
    entropy = SystemEntropy()
    try:
        transport = SocketTransport()
    except OSError as error:
        raise Unavailable(f"cannot open a transport: {error}") from None
    return Surroundings(transport, SystemClock(), lambda: Session(url, entropy, direct, _reachable))


def _reachable(endpoint: str) -> bool:
    """Whether a worker can be talked to directly: its socket is one of this host."""
    return endpoint.startswith(SCHEME) and os.path.exists(path_of(endpoint))
