"""Processes that write ascending versions to keys, and processes that check each value they read against them.

Each key has one writer. It notes in a shared file which version it begins, before the write, and which one was
acknowledged, after it. So a reader knows the bounds of what it may read: at least what was acknowledged before its
read, at least what it has read before, and at most what was begun after its read.
"""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

from shardstore import Busy, Client, OutcomeUnknown, Unavailable, connect
from tests.process.drained_store import keys_read_by

KEYS = 4_000
WRITERS = 2
TIMEOUT_S = 60
WINDOW = 40
"""A writer writes to so many neighbouring keys for a while, so that most keys are in tables only."""
DELETES = 7
"""Each version that this number divides is a delete."""
KEPT_BYTES_MAX = 2_000
_WORD_BYTES = 8


class Ledger:
    """The versions that were begun and acknowledged, by the number of the key, in a mapped file."""

    def __init__(self, path: Path) -> None:
        with open(path, "r+b") as file:
            self._words = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
        self.begun = self._words[1 : 1 + KEYS]
        self.acknowledged = self._words[1 + KEYS :]

    @staticmethod
    def make(path: Path) -> Ledger:
        """Make the file: nothing was begun yet."""
        path.write_bytes(bytes(_WORD_BYTES * (1 + 2 * KEYS)))
        return Ledger(path)

    @property
    def is_stopped(self) -> bool:
        """Whether all processes are to end."""
        return bool(self._words[0])

    def stop(self) -> None:
        """Let all processes end."""
        self._words[0] = 1

    def least(self, numbers: Sequence[int]) -> list[int]:
        """The versions that a read that begins now returns at least."""
        return [self.acknowledged[number] for number in numbers]

    def most(self, numbers: Sequence[int]) -> list[int]:
        """The versions that a read that ended now returned at most."""
        return [self.begun[number] for number in numbers]


def write(base: Path, writer: int) -> Counter[str]:
    """Write to the keys of this writer until the ledger says stop; returns what was counted."""
    ledger, random, counts = Ledger(base / "ledger"), Random(writer), Counter[str]()
    mine = range(writer, KEYS, WRITERS)
    at = 0
    with connect(base / "data", timeout=TIMEOUT_S) as db:
        while not ledger.is_stopped:
            if random.random() < 0.02:
                at = random.randrange(len(mine) - WINDOW)
            size = random.choice((1, 1, 1, 1, 2, 5)) if random.random() < 0.98 else WINDOW
            _write_some(db, ledger, random.sample(mine[at : at + WINDOW], size), random, counts)
    return counts


def read(base: Path, seed: int) -> Counter[str]:
    """Read keys until the ledger says stop, and check each value; returns what was counted."""
    ledger, random, counts = Ledger(base / "ledger"), Random(seed), Counter[str]()
    seen = [0] * KEYS
    with connect(base / "data", timeout=TIMEOUT_S) as db:
        while not ledger.is_stopped:
            first = random.randrange(KEYS)
            numbers = [first] if random.random() < 0.9 else random.sample(range(KEYS), random.randint(2, 300))
            try:
                check_some(db, ledger, numbers, seen)
                counts["keys read"] += len(numbers)
            except Unavailable:
                counts["unserved"] += 1
        counts["direct"], counts["asked"] = keys_read_by(db)
    return counts


def check_some(db: Client, ledger: Ledger, numbers: Sequence[int], seen: list[int]) -> None:
    """Read these keys, and check that each value is neither too old nor from the future."""
    keys = [key_of(number) for number in numbers]
    least = [max(seen[number], version) for number, version in zip(numbers, ledger.least(numbers), strict=True)]
    values = [db.get(keys[0])] if len(keys) == 1 else db.get_many(keys)
    most = ledger.most(numbers)
    for number, value, low, high in zip(numbers, values, least, most, strict=True):
        version = _version_of(value, low)
        assert low <= version <= high, f"{key_of(number)!r} has version {version}, not {low} to {high}"
        seen[number] = version


def key_of(number: int) -> bytes:
    """The key of a number; keys are spread over all ranges."""
    return b"%02x-%d" % (number * 0x9E3779B1 >> 8 & 0xFF, number)


def _write_some(db: Client, ledger: Ledger, numbers: Sequence[int], random: Random, counts: Counter[str]) -> None:
    versions = {number: ledger.begun[number] + 1 for number in numbers}
    deleted = [number for number, version in versions.items() if version % DELETES == 0]
    put = [number for number in numbers if number not in deleted]
    for some in filter(None, (put, deleted)):
        for number in some:
            ledger.begun[number] = versions[number]
        try:
            if some is deleted:
                db.delete_many([key_of(number) for number in some])
            elif len(some) == 1:
                db.put(key_of(some[0]), _value_of(versions[some[0]], random))
            else:
                db.put_many([(key_of(number), _value_of(versions[number], random)) for number in some])
        except (Busy, Unavailable, OutcomeUnknown) as error:
            counts[type(error).__name__] += 1
            continue
        for number in some:
            ledger.acknowledged[number] = versions[number]
        counts["keys written"] += len(some)


def _value_of(version: int, random: Random) -> bytes:
    return b"%d " % version + b"." * random.randrange(KEPT_BYTES_MAX)


def _version_of(value: bytes | None, least: int) -> int:
    """The version of a value; for an absent key the lowest version, from `least` on, which is a delete."""
    return -(-least // DELETES) * DELETES if value is None else int(value.split(b" ", 1)[0])
