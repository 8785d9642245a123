"""The protocol that the benchmarks use for every peer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

BATCH_ENTRIES = 1_000
AwaitedGet: TypeAlias = Callable[[bytes], Awaitable[bytes | None]]


class Peer(Protocol):
    """An open store, in which every write is synced or none is synced by itself.

    If the package of the store has a callable of the same form, the attribute is that callable, so that the clock
    measures no code of the benchmarks.
    """

    @property
    def servers(self) -> Sequence[int]:
        """The ids of other processes that do work for this store."""

    def put(self, key: bytes, value: bytes, /) -> object:
        """Write one record."""

    def put_many(self, keys: Sequence[bytes], values: Sequence[bytes], /) -> object:
        """Write one batch."""

    def get(self, key: bytes, /) -> bytes | None:
        """Read one record."""

    def get_many(self, keys: Sequence[bytes], /) -> Sequence[bytes | None]:
        """Read one batch."""

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        """Read all records, in key order if the store has one."""

    def settle(self) -> float:
        """Wait until background work is done. Returns the seconds spent only on detecting that."""

    def compact(self) -> object:
        """Reduce the store to its minimum size for its settings."""

    def close(self) -> None:
        """Close the store and end its processes."""


@runtime_checkable
class AsyncPeer(Protocol):
    """A peer with a client for asyncio."""

    def reading_tasks(self) -> AbstractAsyncContextManager[AwaitedGet]:
        """A function that reads one record for a task of the running loop."""


class OpenPeer(Protocol):
    """Opens a new store in an empty directory."""

    def __call__(self, directory: Path, synced: bool) -> Peer:
        """Open the store. With `synced`, every write is on the disk before it returns."""
