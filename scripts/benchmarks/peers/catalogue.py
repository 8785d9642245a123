"""The peers by name, with their settings and what must be installed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from benchmarks.peers.redis_server import server_program

INSTALL_PACKAGES = "`python3 scripts/bench.py` installs it"
INSTALL_REDIS_SERVER = "install redis-server (Debian, Ubuntu: apt install redis-server) or name it in $REDIS_SERVER"


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """A store with one choice of settings; `package` is what Python imports to use it."""

    name: str
    setup: str
    package: str
    has_server: bool = False
    is_ordered: bool = True
    """Whether scans return records in key order. Unordered scans are not compared with ordered ones."""

    def remedy(self) -> str | None:
        """How to install what is missing; None if nothing is."""
        if find_spec(self.package) is None:
            return INSTALL_PACKAGES
        if self.has_server and server_program() is None:
            return INSTALL_REDIS_SERVER
        return None


REDIS_SETUP = "append-only file, synced every second or at every write; MSET and MGET by redis-py with hiredis"
SYNCS = "written to the log, and synced at every write if requested"

PEERS = {
    peer.name: peer
    for peer in (
        PeerInfo("redis", f"Unix socket; {REDIS_SETUP}", "redis", has_server=True, is_ordered=False),
        PeerInfo("redis-tcp", f"loopback TCP; {REDIS_SETUP}", "redis", has_server=True, is_ordered=False),
        PeerInfo("rocksdb", f"default settings; write batches, multi-get; {SYNCS}", "rocksdict"),
        PeerInfo(
            "rocksdb-tuned", f"Bloom filter, block cache of 256 MiB; write batches, multi-get; {SYNCS}", "rocksdict"
        ),
        PeerInfo("leveldb", f"default settings; write batches; {SYNCS}", "plyvel"),
        PeerInfo(
            "leveldb-tuned",
            f"Bloom filter, block cache of 256 MiB, write buffer of 64 MiB; write batches; {SYNCS}",
            "plyvel",
        ),
        PeerInfo("lmdb", "a transaction for each batch; writable map without syncs, or a sync at every commit", "lmdb"),
        PeerInfo(
            "sqlite",
            "WAL, table without rowid, page cache of 256 MiB; a transaction for each batch; synchronous NORMAL or FULL",
            "sqlite3",
        ),
    )
}
"""All peers by name."""


def installed() -> list[PeerInfo]:
    """The peers that are installed and can be measured."""
    return [peer for peer in PEERS.values() if peer.remedy() is None]


def missing() -> dict[str, str]:
    """How to install each of the other peers, by name."""
    remedies = ((name, peer.remedy()) for name, peer in PEERS.items())
    return {name: remedy for name, remedy in remedies if remedy is not None}
