"""Sends the routes to clients and workers: the route map, and the endpoints of the workers that are up.

An announcement may be lost. A client or worker with old routes gets STALE_ROUTE with the new ones, or asks for them.
"""

from __future__ import annotations

from shardstore.router.cluster_state import ClusterState
from shardstore.router.known_clients import KnownClients
from shardstore.seams.effects import Effect, Send
from shardstore.wire.link_names import CLIENTS, WORKERS
from shardstore.wire.messages import Routes, encode
from shardstore.wire.wire_format import Header, Op, Status

_UNASKED = Header(Op.ROUTES, status=Status.OK).encode()


class Announcer:
    """Keeps the routes in encoded form, and sends them to all clients and workers when they change."""

    def __init__(self, cluster: ClusterState, clients: KnownClients) -> None:
        self._table = cluster.table
        self._membership = cluster.membership
        self._clients = clients
        self._routes = self._encoded()

    @property
    def routes(self) -> bytes:
        """The current Routes message, encoded."""
        return self._routes

    def refresh(self) -> None:
        """Encode the current routes again. Sends nothing."""
        self._routes = self._encoded()

    def announce(self) -> list[Effect]:
        """Send the current routes to all workers and clients."""
        self.refresh()
        frames = (_UNASKED, self._routes)
        to_workers = [Send(WORKERS, peer, frames) for peer in self._membership.peers()]
        return [*to_workers, *(Send(CLIENTS, peer, frames) for peer in self._clients.peers())]

    def _encoded(self) -> bytes:
        return encode(Routes(self._table.current.to_document(), dict(self._membership.endpoints())))
