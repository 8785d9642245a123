"""LMDB through its Python package of the same name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import lmdb

MAP_BYTES = 16 << 30
"""Room of the map; the file has holes where nothing is."""


class LMDBPeer:
    """Each write, and each batch, is a transaction."""

    servers = ()

    def __init__(self, directory: Path, synced: bool) -> None:
        self._environment = lmdb.open(
            str(directory), map_size=MAP_BYTES, sync=synced, writemap=not synced, map_async=not synced
        )

    def put(self, key: bytes, value: bytes) -> None:
        """A transaction of one write."""
        with self._environment.begin(write=True) as transaction:
            transaction.put(key, value)

    def put_many(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """A transaction for the batch."""
        with self._environment.begin(write=True) as transaction:
            transaction.cursor().putmulti(list(zip(keys, values, strict=True)))

    @property
    def get(self) -> Callable[[bytes], bytes | None]:
        """Reads in one transaction, which sees what was written until now."""
        return self._environment.begin().get

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """A transaction for the batch. The method `getmulti` of its cursor takes longer."""
        with self._environment.begin() as transaction:
            return list(map(transaction.get, keys))

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        """Everything in key order."""
        return iter(self._environment.begin().cursor())

    def settle(self) -> float:
        """Sync."""
        self._environment.sync(True)
        return 0.0

    def compact(self) -> None:
        """Sync: it keeps no second form."""
        self.settle()

    def close(self) -> None:
        """Close the environment."""
        self._environment.close()
