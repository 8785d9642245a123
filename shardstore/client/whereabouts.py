"""Seam: where the router of a store listens. Real form: finding.py; simulated form: tests/simulation/clients.py."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Found(NamedTuple):
    """Where the router is to be asked, empty when nobody says; and why nobody answers there, if that can be seen.

    `for_good`: waiting would be in vain.
    """

    url: str
    missing: str = ""
    for_good: bool = False


class Finder(Protocol):
    """Finds one store, over every restart of its cluster. It outlives the sessions of its client."""

    store: int
    """Tag of the store; 0 until the client was welcomed."""

    def find(self) -> Found:
        """Look anew."""

    def learn(self, store: int, url: str, data: str) -> None:
        """The router at the url has welcomed the client to the store: the client goes to no other one any more.

        `data` is its data directory as the router sees it, which may be on another host, or none that can be read.
        """
