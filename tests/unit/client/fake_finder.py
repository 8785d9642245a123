"""A finder with a fixed result."""

from __future__ import annotations

from shardstore.client.session.whereabouts import Found


class FakeFinder:
    """Always finds `found`."""

    def __init__(self, url: str = "unix://router") -> None:
        self.found = Found(url)
        self.store = 0
        self.learned: list[tuple[str, str]] = []

    def find(self, is_silent: bool = False) -> Found:
        """The address of the router."""
        return self.found

    def learn(self, store: int, url: str, data: str) -> None:
        """Record the store."""
        self.store = store
        self.learned.append((url, data))
