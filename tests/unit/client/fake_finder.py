"""A finder that knows what it is told."""

from __future__ import annotations

from shardstore.client.session.whereabouts import Found


class FakeFinder:
    """Finds `found`."""

    def __init__(self, url: str = "ipc://router") -> None:
        self.found = Found(url)
        self.store = 0
        self.learned: list[tuple[str, str]] = []

    def find(self, is_silent: bool = False) -> Found:
        """Where the router is."""
        return self.found

    def learn(self, store: int, url: str, data: str) -> None:
        """Keep it."""
        self.store = store
        self.learned.append((url, data))
