"""RocksDB through rocksdict, with raw bytes as keys and values."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from rocksdict import BlockBasedOptions, Cache, Options, Rdict, WriteBatch, WriteOptions

CACHE_BYTES = 256 << 20
FILTER_BITS = 10
POLL_SECONDS = 0.01
UNDER_WAY = (
    "rocksdb.num-running-compactions",
    "rocksdb.compaction-pending",
    "rocksdb.num-running-flushes",
    "rocksdb.mem-table-flush-pending",
)


class RocksDBPeer:
    """A RocksDB database; `tuned` adds a Bloom filter and a larger block cache for reads."""

    servers = ()

    def __init__(self, directory: Path, synced: bool, tuned: bool) -> None:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        if tuned:
            tables = BlockBasedOptions()
            tables.set_bloom_filter(FILTER_BITS, False)
            tables.set_block_cache(Cache(CACHE_BYTES))
            options.set_block_based_table_factory(tables)
        self._write_options = WriteOptions()
        self._write_options.sync = synced
        self._db = cast(Any, Rdict(str(directory), options))  # its types do not tell get from multi-get
        self._db.set_write_options(self._write_options)
        self.put = self._db.put
        self.get = self._db.get
        self.get_many = self._db.get  # with a list, it is the multi-get

    def put_many(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Write one write batch."""
        batch = WriteBatch(raw_mode=True)
        deque(map(batch.put, keys, values), maxlen=0)
        self._db.write(batch, self._write_options)

    def scan(self) -> Iterable[tuple[bytes, bytes]]:
        """All records in key order."""
        records: Iterable[tuple[bytes, bytes]] = self._db.items()
        return records

    def settle(self) -> float:
        """Flush the memtable, and wait for compactions."""
        self._db.flush(True)
        while any(map(self._db.property_int_value, UNDER_WAY)):
            time.sleep(POLL_SECONDS)
        return 0.0

    def compact(self) -> None:
        """Compact the whole range of keys."""
        self._db.compact_range(None, None)
        self.settle()

    def close(self) -> None:
        """Close the database."""
        self._db.close()
