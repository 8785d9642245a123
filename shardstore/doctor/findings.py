"""What `shardstore doctor` finds: where, what it means for the store, and what to do about it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from shardstore.errors import Corruption, StorageFailure


class Kind(StrEnum):
    """What a finding is about."""

    IDENTITY = "identity"
    ROUTE_MAP = "route map"
    CHANGE = "change"
    MANIFEST = "manifest"
    TABLE = "table"
    WINDOW = "dedup window"
    LOG = "log"
    RECORD = "log record"
    SPACES = "spaces"
    STRAY = "stray file"
    TORN = "torn tail"
    LEFTOVER = "leftover"


HARMLESS = frozenset((Kind.TORN, Kind.LEFTOVER))
"""A healthy store has these after a crash: nothing is lost, and the next start deals with them."""
MOVABLE = frozenset((Kind.STRAY, Kind.LEFTOVER))
"""Files that no range needs, so that a repair may move them aside."""

_RESTORE = "restore the newest copy of this file, or the whole directory from one backup"
MEANINGS: dict[Kind, tuple[str, str]] = {
    Kind.IDENTITY: (
        "no process opens the directory",
        "restore STORE from any copy of this store: it never changes",
    ),
    Kind.ROUTE_MAP: (
        "the router does not start, so no key is served",
        f"{_RESTORE}; an older map than the segments is refused",
    ),
    Kind.CHANGE: (
        "a split, merge or move cannot go on; its keys may stay unserved",
        f"{_RESTORE}, with the segments that the change names; or give up what cannot be read: --repair with "
        "--complete or --cancel and the number of the change, or `shardstore changes resolve` while it is served",
    ),
    Kind.MANIFEST: (
        "the range is not served; all others are",
        _RESTORE,
    ),
    Kind.TABLE: (
        "reads of the damaged keys are refused, and the range is not compacted; all others are served",
        f"{_RESTORE}; before that, copy what can be read with `shardstore scan`",
    ),
    Kind.WINDOW: (
        "a retried write of a client could be applied twice, or refused",
        _RESTORE,
    ),
    Kind.LOG: (
        "all ranges of this worker are refused, as writes that were acknowledged are missing; other workers serve",
        f"{_RESTORE}; do not remove log files: that loses their writes",
    ),
    Kind.RECORD: (
        "the worker does not replay its log, or would apply a write to keys that are not its own",
        "keep a copy of the directory and report it: files of two stores or times were mixed, or this is a mistake",
    ),
    Kind.SPACES: (
        "the space cannot be opened, or two spaces share keys; its entries are still there",
        "read the entries as bytes with `shardstore scan`, then write the document anew, or drop the space",
    ),
    Kind.STRAY: (
        "no file of a store; beside tables, the next start may remove it",
        "move it elsewhere, or let --repair move it aside",
    ),
    Kind.TORN: (
        "bytes that were never acknowledged as durable: the next start cuts them",
        "nothing",
    ),
    Kind.LEFTOVER: (
        "a crash or a job left it; nothing needs it",
        "nothing: the next start removes it or leaves it alone; --repair moves it aside",
    ),
}
"""What a finding of each kind means, and what to do."""


class Finding(NamedTuple):
    """One thing that was found: in which file of the directory, at which byte, and what it is."""

    kind: Kind
    file: str
    offset: int
    what: str

    @property
    def meaning(self) -> str:
        """What it means for the store."""
        return MEANINGS[self.kind][0]

    @property
    def advice(self) -> str:
        """What to do about it."""
        return MEANINGS[self.kind][1]

    @property
    def is_harmless(self) -> bool:
        """Whether a healthy store may have it."""
        return self.kind in HARMLESS


def of_error(kind: Kind, file: str, error: Corruption | StorageFailure) -> Finding:
    """Return the finding of this kind for damage that a reader of the file met, or for a file that cannot be read."""
    if isinstance(error, Corruption):
        return Finding(kind, error.file, error.offset, error.what)
    return Finding(kind, file, 0, str(error))
