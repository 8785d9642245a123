"""Opens and reads a damaged store, and judges what it does. It must never return wrong data silently."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from shardstore.errors import Corruption, InvalidRequest, ShardstoreError, StorageFailure
from tests.damage.damages import Damage
from tests.damage.history import History
from tests.damage.store import MemoryStore


class Verdict(StrEnum):
    """The result of a damage."""

    RIGHT = "served rightly"
    PART = "part refused"
    WHOLE = "all refused"
    SILENT = "SILENT"
    """Data was wrong or missing, without an error."""
    UNNAMED = "UNNAMED"
    """An error does not name the file, or is not an error of the store."""
    UNHEALED = "UNHEALED"
    """The store does not recover when the right file is restored."""


GOOD = frozenset((Verdict.RIGHT, Verdict.PART, Verdict.WHOLE))


class Finding(NamedTuple):
    """A verdict, and the first reason for it."""

    verdict: Verdict
    why: str


def judge(history: History, damage: Damage) -> Finding:
    """Open the store after this damage, read everything in every way, and check whether it recovers."""
    finding, after = _read(history, damage.applied(history.files))
    if finding.verdict not in (Verdict.PART, Verdict.WHOLE):
        return finding
    original = {path: history.files.get(path) for path in damage.damaged}
    healed, _ = _read(history, Damage("", "", original).applied(after))
    return finding if healed.verdict is Verdict.RIGHT else Finding(Verdict.UNHEALED, f"{finding.why}; then {healed}")


def _read(history: History, files: Mapping[str, bytes]) -> tuple[Finding, dict[str, bytes]]:
    """The finding, and the files after it."""
    try:
        store = MemoryStore(files, sequence=history.sequence)
    except (Corruption, InvalidRequest, StorageFailure) as error:
        return Finding(Verdict.WHOLE, repr(error)), dict(files)
    except Exception as error:
        return Finding(Verdict.UNNAMED, repr(error)), dict(files)
    try:
        refused = [*_read_keys(store, history), *_read_ranges(store, history)]
    except Wrong as wrong:
        return Finding(Verdict.SILENT, str(wrong)), store.files()
    except Exception as error:
        return Finding(Verdict.UNNAMED, repr(error)), store.files()
    unnamed = [error for error in refused if not isinstance(error, Corruption)]
    if unnamed:
        return Finding(Verdict.UNNAMED, repr(unnamed[0])), store.stop()
    finding = Finding(Verdict.PART, repr(refused[0])) if refused else Finding(Verdict.RIGHT, "")
    return finding, store.stop()


class Wrong(Exception):
    """The data read differs from the data written."""


def _read_keys(store: MemoryStore, history: History) -> list[ShardstoreError]:
    refused = []
    for key, expected in history.expected.items():
        try:
            found = store.get(key)
        except ShardstoreError as error:
            refused.append(error)
            continue
        if found != expected:
            raise Wrong(f"{key!r} is {found!r} instead of {expected!r}")
    return refused


def _read_ranges(store: MemoryStore, history: History) -> list[ShardstoreError]:
    refused = []
    for key_range in store.ranges():
        expected = {key: value for key, value in history.expected.items() if value is not None and key in key_range}
        try:
            found = store.scan(key_range)
        except ShardstoreError as error:
            refused.append(error)
            continue
        if found != expected:
            raise Wrong(f"the range {key_range} is {found!r} instead of {expected!r}")
    return refused
