"""The endpoints of one cluster's processes: in a private directory or, for clients of the router, over tcp.

Router and workers run on this host, and so do clients that connect to workers directly; other clients go through the
router. Everything on this host is connected by Unix streams.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from shardstore.cluster.socket_place import SocketPlace
from shardstore.errors import InvalidRequest
from shardstore.options import SocketAccess

BOARD_PREFIX = "board-"
"""The names of boards begin with this."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints that each process binds. They are in `directory`, unless `place` or `listen` says otherwise.

    `listen` is a checked tcp address.
    """

    directory: str
    listen: str | None = None
    place: SocketPlace | None = None

    @property
    def clients(self) -> str:
        """The router's public endpoint."""
        return self.listen or f"unix://{self.place.path if self.place else f'{self.directory}/clients'}"

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


def check_listen(listen: str) -> str:
    """Return the address if a cluster may listen on it. Raises InvalidRequest."""
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
    if not address.is_loopback:
        raise InvalidRequest(
            f"{listen} can be reached from other hosts, and this version has no encryption or authentication: "
            "listen on tcp://127.0.0.1 or tcp://[::1], and tunnel to it (ssh -L)"
        )
    return listen
