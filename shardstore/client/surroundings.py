"""Puts together what a client runs on: the real transport, clock and entropy, for one endpoint."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from shardstore.client.calls.arguments import checked_flag, checked_memory
from shardstore.client.direct.direct_reads import DirectReads
from shardstore.client.fork_hook import checked_fork
from shardstore.client.open_reader import open_reader
from shardstore.client.session.session import Session
from shardstore.client.store_finder import StoreFinder
from shardstore.errors import InvalidRequest, Unavailable
from shardstore.seams.clock import Clock
from shardstore.seams.transport import ClientTransport
from shardstore.system.running_cluster import DATA_VARIABLE, KEY_VARIABLE, URL_VARIABLE, named_by_environment
from shardstore.system.socket_transport import SocketTransport
from shardstore.system.stream_links import SCHEME, path_of
from shardstore.system.system_clock import SystemClock
from shardstore.system.system_entropy import SystemEntropy

if TYPE_CHECKING:
    from shardstore.access.key_files import ClientKey

_TCP = "tcp://"
_AND_TCP = " tcp://"
"""Separates the two endpoints of a worker in the routes; see Register in wire/messages.py."""
_PORT_MAX = 65_535
_AS_PRINTED = "as `shardstore serve` prints it"


class Surroundings(NamedTuple):
    """What a client is built on. Transport and session are made again when they have to be replaced.

    `reopens`: whether they are in the child of a fork. `name`: the argument of `connect`, or of the environment.
    """

    new_transport: Callable[[], ClientTransport]
    clock: Clock
    new_session: Callable[[], Session]
    reopens: bool
    name: str
    reads: DirectReads


def surroundings_of(
    where: str | os.PathLike[str] | None,
    direct: bool,
    fork: str,
    direct_reads: bool,
    memory: int | str,
    key: str | os.PathLike[str] | None,
) -> Surroundings:
    """The real surroundings for the arguments of `connect`. Raises InvalidRequest, Unavailable."""
    reopens, direct = checked_fork(fork), checked_flag("direct", direct)
    reads_itself, memory_bytes = checked_flag("direct_reads", direct_reads) and direct, checked_memory(memory)
    finder = _finder_of(where)
    proof = _key_of(finder.name, key)
    found = finder.find()
    if not found.url:
        raise Unavailable(found.missing)
    entropy = SystemEntropy()
    reads = DirectReads(lambda store: open_reader(finder.data_here, store, memory_bytes) if reads_itself else None)
    reach = _reach_here if proof is None else partial(_reach_remote, finder.name)
    new_session = lambda: Session(finder, entropy, direct, reach, reads.follow)  # noqa: E731
    return Surroundings(partial(_new_transport, proof), SystemClock(), new_session, reopens, finder.name, reads)


def _key_of(name: str, key: str | os.PathLike[str] | None) -> ClientKey | None:
    """The key for a store of this name, if it is reached over tcp: that of a file, or of the environment.

    Raises InvalidRequest.
    """
    is_remote = name.startswith(_TCP)
    if key is not None and not isinstance(key, str | os.PathLike):
        raise InvalidRequest(f"key is the path of a key file, not {type(key).__name__}")
    if key is not None and not is_remote:
        raise InvalidRequest(f"a key is for a url that begins with {_TCP}; {name} needs none")
    path = os.environ.get(KEY_VARIABLE) if key is None and is_remote else key
    if not path:
        return None
    from shardstore.access.client_keys import read_client_key  # noqa: PLC0415  (most clients have none)

    return read_client_key(os.fspath(path))


def _new_transport(key: ClientKey | None) -> ClientTransport:
    try:
        return SocketTransport(key)
    except OSError as error:
        remedy = "close some of what is open, or raise `ulimit -n`"
        raise Unavailable(f"the client has no room for its sockets: {error.strerror}; {remedy}") from None


def _finder_of(where: str | os.PathLike[str] | None) -> StoreFinder:
    if where is None:
        where = named_by_environment()
    if where is None:
        raise InvalidRequest(
            f"connect to what? Name a data directory or a url, or set {URL_VARIABLE} or {DATA_VARIABLE}"
        )
    if not isinstance(where, str | os.PathLike) or not isinstance(os.fspath(where), str):
        raise InvalidRequest(f"where is the path of a data directory or a cluster's url, not {where!r:.60}")
    name = os.fspath(where)
    if name.startswith((SCHEME, _TCP)):
        return StoreFinder(url=_checked_url(name), data="")
    if not name or "://" in name:
        schemes = f"{SCHEME} or {_TCP}"
        raise InvalidRequest(f"{name!r} is no cluster's url, which begins with {schemes}, and no data directory")
    return StoreFinder(url="", data=os.path.abspath(name))


def _reach_here(endpoints: str) -> str:
    """The endpoint of a worker for clients on this host, if its socket is here; else empty."""
    local, _, _ = endpoints.partition(_AND_TCP)
    return local if local.startswith(SCHEME) and os.path.exists(path_of(local)) else ""


def _reach_remote(url: str, endpoints: str) -> str:
    """The endpoint of a worker for clients with keys: its port, at the host of the url; empty if it has none."""
    _, is_there, remote = endpoints.partition(_AND_TCP)
    return f"{url.rpartition(':')[0]}:{remote.rpartition(':')[2]}" if is_there else ""


def _checked_url(url: str) -> str:
    """The url. Raises InvalidRequest if it names no socket: a client would wait for one that can never be there."""
    if url == SCHEME:
        raise InvalidRequest(f"{url!r} has no path: write it like unix:///run/app/store, {_AS_PRINTED}")
    if url.startswith(_TCP):
        flaw = _flaw_of(*url.removeprefix(_TCP).rpartition(":")[::2])
        if flaw:
            raise InvalidRequest(f"{url!r} {flaw}: write it like tcp://127.0.0.1:7700, {_AS_PRINTED}")
    return url


def _flaw_of(host: str, port: str) -> str:
    if not port.isdecimal():
        return "has no port"
    if not host:
        return "has no host"
    if host.split() != [host]:
        return "has a space in its host"
    return "" if 0 < int(port) <= _PORT_MAX else f"has a port that is not 1 to {_PORT_MAX}"
