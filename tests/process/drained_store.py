"""A store whose keys are all in tables, and what its clients read from these files themselves."""

from __future__ import annotations

from shardstore import Client
from shardstore.client.direct.direct_reads import FIRST_READS

ENTRIES = {b"%02x-%d" % (number % 256, number): b"value of %d" % number for number in range(1_000)}
KEYS = list(ENTRIES)


def fill(db: Client) -> None:
    """Write the entries, and drain them."""
    db.put_many(ENTRIES)
    db.flush()


def warm_up(db: Client) -> None:
    """Read so often that the client reads keys itself from now on."""
    for key in KEYS[: FIRST_READS + 1]:
        assert db.get(key) == ENTRIES[key]


def keys_read_by(db: Client) -> tuple[int, int]:
    """How many keys a client has read from files, and how many it has asked of workers."""
    reads = db._reads._reads
    return reads.direct, reads.asked


def check_read_directly(db: Client) -> None:
    """Check that the client reads all entries, and all of them from files."""
    direct, asked = keys_read_by(db)
    assert [db.get(key) for key in KEYS] == db.get_many(KEYS) == list(ENTRIES.values())
    assert keys_read_by(db) == (direct + 2 * len(KEYS), asked)


def check_asked(db: Client) -> None:
    """Check that the client reads all entries, and none of them from files."""
    direct, asked = keys_read_by(db)
    assert [db.get(key) for key in KEYS] == db.get_many(KEYS) == list(ENTRIES.values())
    assert keys_read_by(db) == (direct, asked + 2 * len(KEYS))
