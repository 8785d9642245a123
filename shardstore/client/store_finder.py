"""Finds out where the cluster of a store listens: from the announcement in its data directory, or from a url.

A client that was given only a url follows the announcement as well, once that names the cluster that has welcomed the
client: the same url and the same store. So it finds the store again if the next cluster has another url.
"""

from __future__ import annotations

from shardstore.client.endpoint_probe import TCP, distrust_of, host_of, why_nobody_answers, why_turned_away
from shardstore.client.host_name import HostName
from shardstore.client.session.whereabouts import Found
from shardstore.errors import Unavailable
from shardstore.identifiers import tag_of_store
from shardstore.system.running_cluster import last_announced, owner_of, running_on


class StoreFinder:
    """Finds the store of a data directory or of a url. One of `url` and `data` is empty."""

    def __init__(self, url: str, data: str) -> None:
        self._url = url
        self._data = data
        self._host = HostName(host_of(url)) if url.startswith(TCP) else None
        self.store = 0

    @property
    def name(self) -> str:
        """The name of the store: the url or data directory."""
        return self._url or self._data

    def find(self, is_silent: bool = False) -> Found:
        """Read the announcement, and check whether anybody listens."""
        if self._host is not None and self._host.flaw and not self.store:
            return Found("", self._host.flaw, for_good=True)
        found = self._found()
        is_closer = is_silent and found.url and not found.missing and not self.store
        turned_away = why_turned_away(found.url) if is_closer else ""
        return found._replace(missing=turned_away, is_full=True) if turned_away else found

    def _found(self) -> Found:
        if not self._data:
            return _at(self._url, None)
        try:
            cluster = running_on(self._data)
        except Unavailable as none:
            return _at(self._url, None) if self._url else Found("", str(none))
        if self.store and tag_of_store(cluster.store) != self.store:
            if self._url:
                return _at(self._url, None)
            return Found("", f"{self._data} holds another store now; open a new client if that one is meant", True)
        found = _at(cluster.url, owner_of(self._data))
        # a supervisor that is seen to run will start its router again
        return found._replace(missing="") if cluster.process.is_visible and not found.for_good else found

    @property
    def data_here(self) -> str:
        """The data directory of the store that welcomed the client, if it was announced on this host; else empty."""
        cluster = last_announced(self._data) if self._data and self.store else None
        is_here = cluster and tag_of_store(cluster.store) == self.store and cluster.process.is_on_this_host
        return self._data if is_here else ""

    def learn(self, store: int, url: str, data: str) -> None:
        """Remember the store, and its data directory if the announcement there names this url."""
        self.store = store
        if not self._data:
            cluster = last_announced(data)
            if cluster is not None and cluster.url == url and tag_of_store(cluster.store) == store:
                self._data = data


def _at(url: str, owner: int | None) -> Found:
    distrust = distrust_of(url, owner)
    return Found("", distrust, True) if distrust else Found(url, why_nobody_answers(url))
