"""A small store with a history: its files at each orderly stop, and the values to be read after the last one."""

from __future__ import annotations

from dataclasses import dataclass

from shardstore.wire.wire_format import Op
from tests.damage.store import MemoryStore

KEYS = tuple(b"%c%02d" % (letter, number) for number in range(3) for letter in range(ord("a"), ord("r")))
"""Keys spread over all ranges."""
RANGES = (b"a", b"d", b"h", b"m")
"""One key in each range."""


@dataclass(frozen=True, slots=True)
class History:
    """`stops`: the files at each stop, oldest first. `expected`: the values at the last stop, by key."""

    stops: list[dict[str, bytes]]
    expected: dict[bytes, bytes | None]
    sequence: int

    @property
    def files(self) -> dict[str, bytes]:
        """The files at the last stop."""
        return self.stops[-1]


def make(seed: int = 1) -> History:
    """Make a store with writes, overwrites and deletes that are flushed, compacted, split, or still in the log."""
    history = History([{}], dict.fromkeys(KEYS), 0)
    for number, generation in enumerate((_fill, _flush, _change_and_flush, _split_and_compact, _rest, _leave_in_log)):
        store = MemoryStore(history.files, seed, history.sequence)
        written = generation(store, b"%d" % number)
        history = History([*history.stops, store.stop()], {**history.expected, **written}, store.sequence)
    return history


def _fill(store: MemoryStore, mark: bytes) -> dict[bytes, bytes | None]:
    return _put(store, dict.fromkeys(KEYS, mark * 20))


def _flush(store: MemoryStore, mark: bytes) -> dict[bytes, bytes | None]:
    for key in RANGES:
        store.maintain(Op.FLUSH, key)
    store.rest()
    return {}


def _change_and_flush(store: MemoryStore, mark: bytes) -> dict[bytes, bytes | None]:
    written = _put(store, {key: None if at % 6 == 0 else mark * 20 for at, key in enumerate(KEYS) if at % 3 == 0})
    _flush(store, mark)
    return written


def _split_and_compact(store: MemoryStore, mark: bytes) -> dict[bytes, bytes | None]:
    store.split(b"f")
    store.maintain(Op.COMPACT, b"i")
    store.rest()
    return _put(store, dict.fromkeys(KEYS[1:12], mark * 30))


def _rest(store: MemoryStore, mark: bytes) -> dict[bytes, bytes | None]:
    _flush(store, mark)
    return {}


def _leave_in_log(store: MemoryStore, mark: bytes) -> dict[bytes, bytes | None]:
    return _put(store, {key: None if at % 8 == 0 else mark * 10 for at, key in enumerate(KEYS) if at % 4 == 0})


def _put(store: MemoryStore, pairs: dict[bytes, bytes | None]) -> dict[bytes, bytes | None]:
    store.put(pairs)
    return pairs
