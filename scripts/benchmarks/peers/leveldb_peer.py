"""LevelDB through plyvel."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import plyvel

TUNED = {"write_buffer_size": 64 << 20, "lru_cache_size": 256 << 20, "bloom_filter_bits": 10}
POLL_SECONDS = 0.02
AT_REST_SECONDS = 0.5


class LevelDBPeer:
    """A LevelDB database; `tuned` adds a Bloom filter, a larger block cache and a larger write buffer."""

    servers = ()

    def __init__(self, directory: Path, synced: bool, tuned: bool) -> None:
        self._db = plyvel.DB(str(directory), create_if_missing=True, **(TUNED if tuned else {}))
        self._synced = synced
        self.put = partial(self._db.put, sync=True) if synced else self._db.put
        self.get = self._db.get

    def put_many(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Write one write batch."""
        batch = self._db.write_batch(sync=self._synced)
        deque(map(batch.put, keys, values), maxlen=0)
        batch.write()

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Get one key after the other, since LevelDB has no batched reads."""
        return list(map(self.get, keys))

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        """All records in key order."""
        iterator: Iterable[tuple[bytes, bytes]] = self._db.iterator()
        return iterator

    def settle(self) -> float:
        """Wait until the list of tables stays the same for a while: LevelDB does not report when it is at rest."""
        tables, changed = None, time.perf_counter()
        while True:
            tables_now, now = self._db.get_property(b"leveldb.sstables"), time.perf_counter()
            if tables_now != tables:
                tables, changed = tables_now, now
            elif now - changed > AT_REST_SECONDS:
                return now - changed
            time.sleep(POLL_SECONDS)

    def compact(self) -> None:
        """Compact the whole range of keys."""
        self._db.compact_range()
        self.settle()

    def close(self) -> None:
        """Close the database."""
        self._db.close()
