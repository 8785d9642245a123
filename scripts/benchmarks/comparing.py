"""Measures the peers with the same work in the same run as the store, so that a slow hour affects all."""

from __future__ import annotations

from benchmarks.peers import PEERS, PeerFailed, measure
from benchmarks.records import RecordShape
from benchmarks.settings import Settings
from benchmarks.timing import Figures

PEERS_FOR = {
    "scan": {name for name, peer in PEERS.items() if peer.is_ordered},
    "get_tasks": {name for name, peer in PEERS.items() if peer.has_server},
}
"""The peers for work that not all can do: scans in key order, and calls by asyncio tasks."""


def measure_peers(settings: Settings, shape: RecordShape, work: str, count: int) -> dict[str, Figures]:
    """The figures of each chosen peer that can do the work, by name."""
    found: dict[str, Figures] = {}
    for name in filter(PEERS_FOR.get(work, PEERS).__contains__, settings.peers):
        settings.say(f"{work}, {name}")
        try:
            found[name] = measure(name, shape.name, count, [work], settings.data, settings.runs)[work]
        except PeerFailed as failure:
            settings.fail(f"{work}, {shape.name}, {name}", failure)
    return found
