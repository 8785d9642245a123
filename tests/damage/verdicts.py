"""What a damaged store does when it is opened and read: the one thing it must never do is to be wrong in silence."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from shardstore.errors import Corruption, InvalidRequest, ShardstoreError, StorageFailure
from tests.damage.damages import Damage
from tests.damage.history import History
from tests.damage.store import MemoryStore


class Verdict(StrEnum):
    """How a damage ended."""

    RIGHT = "served rightly"
    PART = "part refused"
    WHOLE = "all refused"
    SILENT = "SILENT"
    """Something was wrong or missing, without an error."""
    UNNAMED = "UNNAMED"
    """An error does not say which file, or is not one of the store's at all."""
    UNHEALED = "UNHEALED"
    """With the right file back in its place, the store is not as it was."""


GOOD = frozenset((Verdict.RIGHT, Verdict.PART, Verdict.WHOLE))


class Finding(NamedTuple):
    """A verdict, and the first thing that speaks for it."""

    verdict: Verdict
    why: str


def judge(history: History, damage: Damage) -> Finding:
    """Open the store after this damage, read everything in every way, and look whether it heals."""
    finding, after = _read(history, damage.applied(history.files))
    if finding.verdict not in (Verdict.PART, Verdict.WHOLE):
        return finding
    original = {path: history.files.get(path) for path in damage.damaged}
    healed, _ = _read(history, Damage("", "", original).applied(after))
    return finding if healed.verdict is Verdict.RIGHT else Finding(Verdict.UNHEALED, f"{finding.why}; then {healed}")


def _read(history: History, files: Mapping[str, bytes]) -> tuple[Finding, dict[str, bytes]]:
    """What is found, and the files after it."""
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
    """What was read is not what was written."""


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
