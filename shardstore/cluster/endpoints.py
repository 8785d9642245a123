"""The endpoints of one cluster's processes: in a private directory or, for clients of the router, over tcp.

Everything on this host is connected by Unix streams. A store with keys also listens over tcp, router and workers, with
encryption and keys. Without keys only the router does, on loopback.
"""

from __future__ import annotations

import ipaddress
import shlex
from dataclasses import dataclass
from urllib.parse import urlsplit

from shardstore.access.key_store import has_keys
from shardstore.cluster.socket_place import SocketPlace
from shardstore.errors import InvalidRequest
from shardstore.options import SocketAccess

BOARD_PREFIX = "board-"
"""The names of boards begin with this."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints that each process binds. They are in `directory`, unless `place` or `listen` says otherwise.

    `listen` is a checked tcp address. If the store `has_keys`, clients of this host use Unix sockets all the same, and
    all that is bound over tcp asks for keys.
    """

    directory: str
    listen: str | None = None
    place: SocketPlace | None = None
    has_keys: bool = False

    @property
    def clients(self) -> str:
        """The router's endpoint for clients that need no key."""
        if self.listen and not self.has_keys:
            return self.listen
        return f"unix://{self.place.path if self.place else f'{self.directory}/clients'}"

    @property
    def remote(self) -> str:
        """The router's endpoint for clients with keys; empty if there is none."""
        return self.listen if self.listen and self.has_keys else ""

    def remote_worker(self, worker: int) -> str:
        """Return a worker's endpoint for clients with keys: its port follows that of the router. Empty for none.

        If the router takes any free port, so does each worker. Clients learn the ports from the routes.
        """
        host, _, port = self.remote.rpartition(":")
        if not host:
            return ""
        return f"{host}:{int(port) + 1 + worker if int(port) else 0}"

    @property
    def workers(self) -> str:
        """The router's endpoint for workers."""
        return f"unix://{self.directory}/workers"

    def worker(self, worker: int) -> str:
        """Return a worker's endpoint for clients on this host."""
        return f"unix://{self.place.worker(worker) if self.place else f'{self.directory}/worker-{worker}'}"

    def board(self, worker: int) -> str:
        """Return the path of a worker's board."""
        return f"{self.directory}/{BOARD_PREFIX}{worker}"

    @property
    def access(self) -> SocketAccess | None:
        """Which users may connect to the sockets for clients; None in the private directory."""
        return self.place.access if self.place else None


def check_listen(listen: str, data: str) -> str:
    """Return the address if the cluster of this data directory may listen on it. Raises InvalidRequest."""
    if not isinstance(listen, str):
        raise InvalidRequest(f"listen is an address like tcp://127.0.0.1:7700, not {listen!r:.60}")
    try:
        parts = urlsplit(listen)
        address, port = ipaddress.ip_address(parts.hostname or ""), parts.port
    except ValueError:
        parts, address, port = urlsplit(""), None, None
    if parts.scheme != "tcp" or parts.path or address is None or port is None:
        raise InvalidRequest(
            f"listen: {listen!r} is no address to listen on; write it like tcp://127.0.0.1:7700 or tcp://[::1]:0"
        )
    if not address.is_loopback and not has_keys(data):
        raise InvalidRequest(
            f"{listen} can be reached from other hosts, so it needs keys of clients: make the first one with "
            f"`shardstore keys new NAME --role admin --data {shlex.quote(data)}`, then start again"
        )
    return listen
