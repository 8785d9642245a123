"""LMDB through the Python package of the same name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import lmdb

MAP_BYTES = 16 << 30
"""Size of the map. The file is sparse, so unused room takes no disk space."""


class LMDBPeer:
    """An LMDB environment in which each write, and each batch, is a transaction."""

    servers = ()

    def __init__(self, directory: Path, synced: bool) -> None:
        self._environment = lmdb.open(
            str(directory), map_size=MAP_BYTES, sync=synced, writemap=not synced, map_async=not synced
        )

    def put(self, key: bytes, value: bytes) -> None:
        """Write one record in a transaction."""
        with self._environment.begin(write=True) as transaction:
            transaction.put(key, value)

    def put_many(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Write the batch in one transaction."""
        with self._environment.begin(write=True) as transaction:
            transaction.cursor().putmulti(list(zip(keys, values, strict=True)))

    @property
    def get(self) -> Callable[[bytes], bytes | None]:
        """A function that reads in a new transaction, which sees everything written so far."""
        return self._environment.begin().get

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Read the batch in one transaction. The method `getmulti` of a cursor is slower."""
        with self._environment.begin() as transaction:
            return list(map(transaction.get, keys))

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        """All records in key order."""
        return iter(self._environment.begin().cursor())

    def settle(self) -> float:
        """Sync the environment."""
        self._environment.sync(True)
        return 0.0

    def compact(self) -> None:
        """Only sync, since LMDB has no more compact form of its file in place."""
        self.settle()

    def close(self) -> None:
        """Close the environment."""
        self._environment.close()
