"""Clients that remember what was acknowledged, and check what the store returns.

Each client has its own keys, so it knows which values they may hold: one, or several after a write in doubt. A refused
write must change nothing; an acknowledged write must not be missing or applied twice, which the counters show.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from random import Random
from threading import Event, Thread

from shardstore import Busy, Client, OutcomeUnknown, ScanInvalidated, ShardstoreError, Unavailable
from tests.process.deadlines import wait_until

TIMEOUT_S = 60
KEYS = 3_000
COUNTERS = 8
BATCH_MAX = 100
VALUE_COPIES_MAX = 400
"""Size of values, so large that a range fills more than one page of a scan."""


class RecordingClient:
    """Writes, counts, reads and scans in a thread until it is stopped. It closes its client."""

    def __init__(self, db: Client, number: int, seed: int) -> None:
        self._db = db
        self._random = Random(f"{seed} {number}")
        self._stopped = Event()
        self._prefix = b"%d-" % number
        self._keys = [self._key(b"%04d" % at) for at in range(KEYS)]
        self._counters = [self._key(b"counter %d" % at) for at in range(COUNTERS)]
        self._versions = 0
        self._possible: dict[bytes, set[bytes | None]] = {key: {None} for key in (*self._keys, *self._counters)}
        self.acknowledged = 0
        """The number of keys written, removed or incremented in calls that returned."""
        self.read = 0
        """The number of values compared."""
        self.unserved: Counter[str] = Counter()
        """Calls refused until their deadline, or with an unknown outcome: how often each error occurred."""
        self.cut_scans = 0
        """The number of scans that ended with ScanInvalidated."""
        self.wrong: list[str] = []
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_for_more(self, entries: int = 500) -> None:
        """Wait until `entries` more entries are acknowledged."""
        goal = self.acknowledged + entries
        wait_until(lambda: self.acknowledged >= goal or bool(self.wrong), f"{entries} more entries", 2 * TIMEOUT_S)
        assert not self.wrong, self.wrong

    def stop(self) -> None:
        """Stop after the current call."""
        self._stopped.set()
        self._thread.join(2 * TIMEOUT_S)
        assert not self._thread.is_alive()
        assert not self.wrong, self.wrong

    def check(self, db: Client) -> None:
        """Check all data by gets and by a scan."""
        keys = list(self._possible)
        self._compare(keys, db.get_many(keys, timeout=TIMEOUT_S), "at the end")
        scanned = dict(db.scan(timeout=TIMEOUT_S))
        assert list(scanned) == sorted(scanned)
        self._compare(keys, list(map(scanned.get, keys)), "in a scan at the end")
        assert not self.wrong, self.wrong

    def _key(self, name: bytes) -> bytes:
        """A key that begins with two hexadecimal digits, so that each client has keys in all ranges of `serve`."""
        return b"%02x" % self._random.randrange(256) + self._prefix + name

    def _run(self) -> None:
        steps = (self._put, self._put, self._delete, self._count, self._get, self._scan, self._flush)
        try:
            while not self._stopped.is_set():
                self._random.choices(steps, (4, 4, 1, 3, 3, 0.3, 0.05))[0]()
        except ShardstoreError as error:
            self.wrong.append(f"{type(error).__name__}: {error}")
        finally:
            self._db.close()

    def _put(self) -> None:
        self._versions += 1
        value = b"%d " % self._versions * self._random.randint(1, VALUE_COPIES_MAX)
        self._write(dict.fromkeys(self._some_keys(), value))

    def _delete(self) -> None:
        self._write(dict.fromkeys(self._some_keys()[:5], None))

    def _write(self, wanted: dict[bytes, bytes | None]) -> None:
        try:
            if None in wanted.values():
                self._db.delete_many(list(wanted), timeout=TIMEOUT_S)
            else:
                self._db.put_many(wanted, timeout=TIMEOUT_S)
        except (Busy, Unavailable) as error:
            self._note(error)
        except OutcomeUnknown as error:
            self._note(error)
            for key, value in wanted.items():
                self._possible[key] |= {value}
        else:
            self.acknowledged += len(wanted)
            self._possible.update({key: {value} for key, value in wanted.items()})

    def _count(self) -> None:
        key = self._random.choice(self._counters)
        following = {b"%d" % (int(value or 0) + 1) for value in self._possible[key]}
        try:
            told = b"%d" % self._db.increment(key, timeout=TIMEOUT_S)
        except (Busy, Unavailable) as error:
            self._note(error)
        except OutcomeUnknown as error:
            self._note(error)
            self._possible[key] |= following
        else:
            self.acknowledged += 1
            if told not in following:
                self.wrong.append(f"counter {key!r} stands at {told!r}, not {following}")
            self._possible[key] = {told}

    def _get(self) -> None:
        keys = [*self._some_keys(), *self._counters]
        try:
            self._compare(keys, self._db.get_many(keys, timeout=TIMEOUT_S), "in a read")
        except Unavailable as error:
            self._note(error)

    def _scan(self) -> None:
        """Scan some or all of the keys, across ranges; an owner may die together with the view it holds."""
        start, end = (b"%02x" % at for at in sorted(self._random.sample(range(256), 2)))
        try:
            scanned = dict(self._db.scan(start, end, timeout=TIMEOUT_S))
        except ScanInvalidated:
            self.cut_scans += 1
        except Unavailable as error:
            self._note(error)
        else:
            keys = [key for key in self._possible if start <= key < end]
            self._compare(keys, list(map(scanned.get, keys)), "in a scan")
            if list(scanned) != sorted(scanned):
                self.wrong.append("a scan out of order")

    def _flush(self) -> None:
        with suppress(Busy):  # the latest scan continues
            self._db.flush(wait=False, timeout=TIMEOUT_S)

    def _note(self, error: ShardstoreError) -> None:
        self.unserved[f"{type(error).__name__}: {error}"] += 1

    def _some_keys(self) -> list[bytes]:
        return self._random.sample(self._keys, self._random.randint(1, BATCH_MAX))

    def _compare(self, keys: list[bytes], values: list[bytes | None], where: str) -> None:
        self.read += len(keys)
        for key, value in zip(keys, values, strict=True):
            if value not in self._possible[key]:
                self.wrong.append(f"{key!r} is {_short(value)} {where}, not {set(map(_short, self._possible[key]))}")


def _short(value: bytes | None) -> str:
    return "absent" if value is None else repr(value[:16])
