"""Events that reach a core and effects that it asks for. A core is `handle(event, now_ns) -> effects`.

The shell around a core executes effects in order and decides nothing. Network, time, syncing the WAL, and jobs are
events and effects; other file operations are plain calls through the filesystem seam. The two that every message needs
are named tuples, which cost a third of a frozen dataclass to make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from shardstore.errors import Corruption
from shardstore.seams.filesystem import File


class Received(NamedTuple):
    """A message came in over a link. `peer` is whom to answer; empty on a link that has one peer."""

    link: str
    peer: bytes
    frames: list[bytes]


@dataclass(frozen=True, slots=True)
class PeerGone:
    """A peer of a bound link has closed its connection, died, or was cut off."""

    link: str
    peer: bytes


@dataclass(frozen=True, slots=True)
class SendFailed:
    """A message could not be handed over: the peer is gone, or was cut off because it does not read."""

    link: str
    peer: bytes
    frames: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Tick:
    """The time the core named by `wakeup_ns` has come. May also come early or for no reason."""


@dataclass(frozen=True, slots=True)
class WalSynced:
    """Everything appended up to this LSN is on stable storage."""

    lsn: int


@dataclass(frozen=True, slots=True)
class WalSyncFailed:
    """A sync failed. It is final: no sync of these files is tried again."""

    reason: str


@dataclass(frozen=True, slots=True)
class JobFinished:
    """A maintenance job ended well; `result` is of the kind its spec promises."""

    job: int
    result: Any


@dataclass(frozen=True, slots=True)
class JobFailed:
    """A maintenance job ended badly, and what it wrote counts for nothing. After `damage` another try cannot help."""

    job: int
    reason: str
    damage: Corruption | None = None


@dataclass(frozen=True, slots=True)
class StopRequested:
    """End in order: refuse new work, finish what was accepted, then Stop."""


Incoming: TypeAlias = Received | PeerGone
"""What a transport takes from its links."""
Event: TypeAlias = Incoming | SendFailed | Tick | WalSynced | WalSyncFailed | JobFinished | JobFailed | StopRequested


class Send(NamedTuple):
    """Send a message; if it cannot be handed over, SendFailed comes back."""

    link: str
    peer: bytes
    frames: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class SyncWal:
    """Sync these files, then the directory if one is named, then report WalSynced(lsn). One at a time."""

    files: tuple[File, ...]
    directory: str | None
    lsn: int


@dataclass(frozen=True, slots=True)
class StartJob:
    """Run a job in the maintenance process: one compaction and one other job at a time."""

    job: int
    spec: Any


@dataclass(frozen=True, slots=True)
class ReportReady:
    """Tell whoever started the process that it serves."""


@dataclass(frozen=True, slots=True)
class Say:
    """Tell whoever operates the store."""

    words: str


@dataclass(frozen=True, slots=True)
class ReportWorkers:
    """Tell whoever started the router which workers are to run from now on."""

    workers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """Leave the process; `failure` says why when it is not an ordinary end."""

    failure: str = ""


Effect: TypeAlias = Send | SyncWal | StartJob | ReportReady | Say | ReportWorkers | Stop


class Core(Protocol):
    """The shape of every core."""

    def start(self, now_ns: int) -> list[Effect]:
        """What is to be done before the first event."""

    def handle(self, event: Any, now_ns: int) -> list[Effect]:
        """Take one event; answer with what is to be done."""

    def wakeup_ns(self) -> int | None:
        """When the core wants its next Tick."""
