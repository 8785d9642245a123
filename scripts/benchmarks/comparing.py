"""Measures the peers with the same work in the same run as the store, so that a slow hour affects all."""

from __future__ import annotations

from benchmarks.peers import PEERS, PeerFailed, measure
from benchmarks.records import RecordShape
from benchmarks.settings import Settings
from benchmarks.timing import Figures


def measure_peers(settings: Settings, shape: RecordShape, work: str, count: int) -> dict[str, Figures]:
    """The figures of each chosen peer that can do the work, by name."""
    found: dict[str, Figures] = {}
    for name in settings.peers:
        if work == "scan" and not PEERS[name].is_ordered:
            continue  # an unsorted scan cannot be compared with one in key order
        settings.say(f"{work}, {name}")
        try:
            found[name] = measure(name, shape.name, count, [work], settings.data, settings.runs)[work]
        except PeerFailed as failure:
            settings.fail(f"{work}, {shape.name}, {name}", failure)
    return found
