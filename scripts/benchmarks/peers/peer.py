"""What the benchmarks ask of a store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

BATCH_ENTRIES = 1_000


class Peer(Protocol):
    """An open store. It was opened so that every write is synced, or none by itself.

    Where the package of the store has a callable of the same form, that callable is the attribute: nothing of ours is
    between the clock and the store.
    """

    @property
    def servers(self) -> Sequence[int]:
        """Processes beside this one that do the work."""

    def put(self, key: bytes, value: bytes, /) -> object:
        """Write one record."""

    def put_many(self, keys: Sequence[bytes], values: Sequence[bytes], /) -> object:
        """Write one batch."""

    def get(self, key: bytes, /) -> bytes | None:
        """Read one record."""

    def get_many(self, keys: Sequence[bytes], /) -> Sequence[bytes | None]:
        """Read one batch."""

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        """Read everything, in key order if the store has one."""

    def settle(self) -> float:
        """Wait until nothing is left to do. Returns the seconds that went by only to find out."""

    def compact(self) -> object:
        """Bring everything into the form that takes the least room, with the settings it has."""

    def close(self) -> None:
        """End its use, and its processes."""


class OpenPeer(Protocol):
    """Opens a new store in an empty directory."""

    def __call__(self, directory: Path, synced: bool) -> Peer:
        """With `synced` every write is on the disk before it returns."""
