"""What a client runs on: the real transport, clock and entropy, put together for one endpoint."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from shardstore.client.session import Session
from shardstore.clock import Clock
from shardstore.errors import InvalidRequest, Unavailable
from shardstore.running_cluster import DATA_VARIABLE, URL_VARIABLE, named_by_environment, running_on
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


def surroundings_of(where: str | os.PathLike[str] | None, direct: bool) -> Surroundings:
    """The real surroundings for what `connect` was told. Raises InvalidRequest, Unavailable."""
    url = _url_of(where)
    entropy = SystemEntropy()
    try:
        transport = SocketTransport()
    except OSError as error:
        raise Unavailable(f"cannot open a transport: {error}") from None
    return Surroundings(transport, SystemClock(), lambda: Session(url, entropy, direct, _reachable))


def _url_of(where: str | os.PathLike[str] | None) -> str:
    if where is None:
        where = named_by_environment()
    if where is None:
        raise InvalidRequest(
            f"connect to what? Name a data directory or a url, or set {URL_VARIABLE} or {DATA_VARIABLE}"
        )
    if not isinstance(where, str | os.PathLike) or not isinstance(os.fspath(where), str):
        raise InvalidRequest(f"a store is named by its data directory or by a cluster's url, not by {where!r}")
    path = os.fspath(where)
    if not path or ("://" in path and not path.startswith((_IPC, _TCP))):
        raise InvalidRequest(f"{path!r} is no cluster's url, which begins with {_IPC} or {_TCP}, and no data directory")
    return path if "://" in path else running_on(path).url


def _reachable(endpoint: str) -> bool:
    """Whether a worker can be talked to directly: its socket is one of this host."""
    return endpoint.startswith(SCHEME) and os.path.exists(path_of(endpoint))
