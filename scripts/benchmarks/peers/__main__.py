"""Measures one peer in this process and prints its figures as JSON. `peers.measure` starts it."""

from __future__ import annotations

import json
import signal
import sys
from functools import partial
from pathlib import Path

from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.peer import OpenPeer
from benchmarks.peers.redis_server import NoServer
from benchmarks.peers.runner import Runner, WrongAnswer
from benchmarks.records import SHAPES, records_of
from shardstore.system.process import end_with_parent


def main() -> None:
    """Measure the peer that the arguments name: peer, shape, number of records, runs, directory, and the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C, the parent kills this process
    end_with_parent()
    peer, shape, count, runs, directory, *work = sys.argv[1:]
    records = records_of(SHAPES[shape], int(count))
    runner = Runner(opener_of(peer), PEERS[peer].is_ordered, records, Path(directory), int(runs))
    try:
        print(json.dumps({"figures": runner.measure(work)}))
    except (NoServer, WrongAnswer) as error:
        print(json.dumps({"failure": str(error)}))


def opener_of(name: str) -> OpenPeer:
    """The function that opens a peer. Imports only the package of that peer, since those of others may be missing."""
    match name.split("-"):
        case ["redis", *variant]:
            from benchmarks.peers.redis_peer import RedisPeer  # noqa: PLC0415

            return partial(RedisPeer, tcp=variant == ["tcp"])
        case ["rocksdb", *variant]:
            from benchmarks.peers.rocksdb_peer import RocksDBPeer  # noqa: PLC0415

            return partial(RocksDBPeer, tuned=variant == ["tuned"])
        case ["leveldb", *variant]:
            from benchmarks.peers.leveldb_peer import LevelDBPeer  # noqa: PLC0415

            return partial(LevelDBPeer, tuned=variant == ["tuned"])
        case ["lmdb"]:
            from benchmarks.peers.lmdb_peer import LMDBPeer  # noqa: PLC0415

            return LMDBPeer
        case ["sqlite"]:
            from benchmarks.peers.sqlite_peer import SQLitePeer  # noqa: PLC0415

            return SQLitePeer
    raise ValueError(f"there is no peer {name}")


if __name__ == "__main__":
    main()
