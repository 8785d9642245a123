"""Seam that finds the router of a store. Real form: store_finder.py; simulated form: tests/simulation/clients.py."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from shardstore.errors import TurnedAway, Unavailable


class Found(NamedTuple):
    """The url of the router, empty if it is unknown, and why nobody answers there (`missing`), if that can be seen.

    `for_good`: waiting does not help. `is_full`: the router serves, but accepts no more connections.
    """

    url: str
    missing: str = ""
    for_good: bool = False
    is_full: bool = False

    def error(self) -> Unavailable:
        """The error to raise if nobody answers."""
        return TurnedAway(self.missing) if self.is_full else Unavailable(self.missing)


class Finder(Protocol):
    """Finds one store, also after restarts of its cluster. It outlives the sessions of its client."""

    store: int
    """The tag of the store; 0 until a router has welcomed the client."""

    def find(self, is_silent: bool = False) -> Found:
        """Find out where the router listens now. `is_silent`: it was asked and does not answer, so look closer."""

    def learn(self, store: int, url: str, data: str) -> None:
        """Note that the router at this url has welcomed the client to a store. The client uses no other store now.

        `data` is the data directory as the router sees it. It may be on another host, or unreadable.
        """
