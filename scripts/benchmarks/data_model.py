"""What spaces and whole ranges of keys cost: typed batches beside raw ones, counts, range deletions, and a queue.

Each is compared with what a program would do without it, or before, in the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

from benchmarks.clusters import Store, WrongAnswer, new_store
from benchmarks.settings import TIMEOUT_SECONDS, Settings
from benchmarks.targets import BY_SCANS, DELETE_MANY, FRESH, RAW_BATCHES, Row
from benchmarks.timing import Figures, latency, medians, rate
from shardstore import Client, keys, values

USERS = 1_000
TYPED = "(str, int), JSON"
BATCH_CALLS = ("put_many", "get_many")
NUMBERED = "numbered"
DEPTH = 1_000
"""Entries that wait in the queue at any time."""
TURN = 100
"""Entries that are written and removed in one turn, the first POPPED of them by single calls."""
POPPED = 2
QUEUE_OPERATIONS = 2_000


def typed(settings: Settings) -> Iterator[Row]:
    """Batches of a space with tuple keys and JSON values, compared with batches of the same bytes without types."""
    pairs = [((f"user{number % USERS}", number), {"number": number, "ok": True}) for number in range(settings.n)]
    key_type, codec = keys.Tuple(str, int), values.Json()
    typed_keys = [key for key, _ in pairs]
    raw = list(zip(key_type.encode_many(typed_keys), [codec.encode(value) for _, value in pairs], strict=True))
    runs: dict[str, list[dict[str, Figures]]] = {TYPED: [], RAW_BATCHES: []}
    for run in range(settings.runs):
        settings.say(f"typed, run {run + 1} of {settings.runs}")
        with new_store(settings) as store:
            runs[TYPED].append(_batches(store, store.db.space("typed", key=key_type, value=codec), pairs))
        with new_store(settings) as store:
            runs[RAW_BATCHES].append(_batches(store, store.db, raw))
    for call in BATCH_CALLS:
        ours, bare = ([figures[call] for figures in runs[side]] for side in (TYPED, RAW_BATCHES))
        yield Row("typed", TYPED, call, medians(ours), {RAW_BATCHES: medians(bare)}, {})


def _batches(store: Store, of: Any, pairs: Sequence[tuple[Any, Any]]) -> dict[str, Figures]:
    """The figures of writing and of reading all pairs in one call, by its name. `of`: a client or a space."""
    found: list[Any] = []
    all_keys = [key for key, _ in pairs]
    put = store.measured(len(pairs), lambda: of.put_many(pairs, timeout=TIMEOUT_SECONDS))
    get = store.measured(len(pairs), lambda: found.extend(of.get_many(all_keys, timeout=TIMEOUT_SECONDS)))
    if found != [value for _, value in pairs]:
        raise WrongAnswer("a record was read with another value than was written")
    return dict(zip(BATCH_CALLS, (put, get), strict=True))


def counts(settings: Settings) -> Iterator[Row]:
    """Counting all keys, and half of them, compared with counting what a scan of the same keys returns."""
    with _numbered(settings) as store:
        for way, expected in (("all", settings.n), ("half", settings.n // 2)):
            settings.say(f"count, {way}")
            ours = [_counted(store.db.count, expected) for _ in range(settings.runs)]
            scans = [_counted(partial(_count_scanned, store.db), expected) for _ in range(settings.runs)]
            yield Row("count", NUMBERED, way, medians(ours), {BY_SCANS: medians(scans)}, {})


def _counted(count: Callable[..., int], expected: int) -> Figures:
    """The rate at which the keys below a number are counted."""
    found: list[int] = []
    figures = rate(expected, lambda: found.append(count(end=_key(expected), timeout=TIMEOUT_SECONDS)))
    if found != [expected]:
        raise WrongAnswer(f"{found} keys were counted, not {expected}")
    return figures


def _count_scanned(db: Client, end: bytes, timeout: float) -> int:
    return sum(1 for _ in db.scan(end=end, keys_only=True, timeout=timeout))


def range_deletion(settings: Settings) -> Iterator[Row]:
    """Removing many keys that lie together by one call, compared with a batch that names each of them."""
    all_keys = list(map(_key, range(settings.n)))
    ours, named = [], []
    with _numbered(settings) as store:
        for run in range(settings.runs):
            settings.say(f"delete_range, run {run + 1} of {settings.runs}")
            ours.append(store.measured(settings.n, lambda: store.db.delete_range(timeout=TIMEOUT_SECONDS)))
            _fill(store, settings.n)
            named.append(store.measured(settings.n, lambda: store.db.delete_many(all_keys, timeout=TIMEOUT_SECONDS)))
            if store.db.count():
                raise WrongAnswer("keys are left")
            _fill(store, settings.n)
    yield Row("delete_range", NUMBERED, "one call", medians(ours), {DELETE_MANY: medians(named)}, {})


def queue_ends(settings: Settings) -> Iterator[Row]:
    """The first key of a queue, and taking it, after as many entries went through as `--n` says, compared with before.

    Entries are written at the tail and removed at the head, by single takes and in batches.
    """
    fresh: dict[str, list[Figures]] = {"first key": [], "pop_first": []}
    used: dict[str, list[Figures]] = {"first key": [], "pop_first": []}
    for run in range(settings.runs):
        settings.say(f"queue, run {run + 1} of {settings.runs}")
        with new_store(settings) as store:
            line = _Queue(store.db)
            line.put(DEPTH)
            operations = min(settings.n, QUEUE_OPERATIONS)
            for figures, before in ((fresh, 0), (used, settings.n)):
                for _ in range(before // TURN):
                    line.turn()
                figures["first key"].append(latency(islice(line.firsts(), operations)))
                figures["pop_first"].append(latency(islice(line.takes(), operations)))
    for way, runs in used.items():
        yield Row("queue", NUMBERED, way, medians(runs), {FRESH: medians(fresh[way])}, {})


class _Queue:
    """A queue of numbered entries, of which those from `head` to `tail` wait."""

    def __init__(self, db: Client) -> None:
        self._db = db
        self._head = self._tail = 0

    def put(self, entries: int) -> None:
        """Write entries at the tail."""
        self._db.put_many([(_key(number), b"%024d" % number) for number in range(self._tail, self._tail + entries)])
        self._tail += entries

    def turn(self) -> None:
        """Write TURN entries, and remove as many."""
        self.put(TURN)
        for _ in range(POPPED):
            self._take()
        self._db.delete_many([_key(number) for number in range(self._head, self._head + TURN - POPPED)])
        self._head += TURN - POPPED

    def firsts(self) -> Iterator[None]:
        """Find the first key, again and again."""
        while True:
            if next(self._db.scan(limit=1, keys_only=True)) != _key(self._head):
                raise WrongAnswer("another key is the first")
            yield

    def takes(self) -> Iterator[None]:
        """Take the first entry, again and again."""
        self.put(QUEUE_OPERATIONS + TURN)
        while True:
            self._take()
            yield

    def _take(self) -> None:
        taken = self._db.pop_first()
        if taken is None or taken[0] != _key(self._head):
            raise WrongAnswer("another entry was taken")
        self._head += 1


def _key(number: int) -> bytes:
    return b"key/%012d" % number


@contextmanager
def _numbered(settings: Settings) -> Iterator[Store]:
    """A store with so many numbered keys, in tables."""
    with new_store(settings) as store:
        _fill(store, settings.n)
        yield store


def _fill(store: Store, count: int) -> None:
    store.db.put_many([(_key(number), b"%024d" % number) for number in range(count)], timeout=TIMEOUT_SECONDS)
    store.move_to_tables()
