"""Telling clients and workers of the routes: the map, and where the workers that are up listen.

Nothing depends on an announcement's arrival: whoever misses one learns from STALE_ROUTE, or asks.
"""

from __future__ import annotations

from shardstore.router.answers import CLIENTS, WORKERS
from shardstore.router.cluster_state import ClusterState
from shardstore.router.sessions import Sessions
from shardstore.seams.effects import Effect, Send
from shardstore.wire.messages import Routes, encode
from shardstore.wire.wire_format import Header, Op, Status

_UNASKED = Header(Op.ROUTES, status=Status.OK).encode()


class Announcer:
    """Keeps the encoded Routes, which go out with many messages, and sends them to all when they change."""

    def __init__(self, cluster: ClusterState, sessions: Sessions) -> None:
        self._table = cluster.table
        self._membership = cluster.membership
        self._sessions = sessions
        self._routes = self._encoded()

    @property
    def routes(self) -> bytes:
        """The encoded Routes, as last announced."""
        return self._routes

    def refresh(self) -> None:
        """Answer with the newest map from now on, without telling anyone unasked."""
        self._routes = self._encoded()

    def announce(self) -> list[Effect]:
        """Tell everyone of a change of map or endpoints."""
        self.refresh()
        frames = (_UNASKED, self._routes)
        to_workers = [Send(WORKERS, peer, frames) for peer in self._membership.peers()]
        return [*to_workers, *(Send(CLIENTS, peer, frames) for peer in self._sessions.peers())]

    def _encoded(self) -> bytes:
        return encode(Routes(self._table.current.to_document(), dict(self._membership.endpoints())))
