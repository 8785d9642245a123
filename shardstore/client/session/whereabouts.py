"""Seam: where the router of a store listens. Real form: finding.py; simulated form: tests/simulation/clients.py."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from shardstore.errors import TurnedAway, Unavailable


class Found(NamedTuple):
    """Where the router is to be asked, empty when nobody says; and why nobody answers there, if that can be seen.

    `for_good`: waiting would be in vain. `is_full`: it serves, but takes no more connections.
    """

    url: str
    missing: str = ""
    for_good: bool = False
    is_full: bool = False

    def error(self) -> Unavailable:
        """What to raise where nobody answers."""
        return TurnedAway(self.missing) if self.is_full else Unavailable(self.missing)


class Finder(Protocol):
    """Finds one store, over every restart of its cluster. It outlives the sessions of its client."""

    store: int
    """Tag of the store; 0 until the client was welcomed."""

    def find(self, is_silent: bool = False) -> Found:
        """Look anew; closer at one who was asked and is silent."""

    def learn(self, store: int, url: str, data: str) -> None:
        """The router at the url has welcomed the client to the store: the client goes to no other one any more.

        `data` is its data directory as the router sees it, which may be on another host, or none that can be read.
        """
