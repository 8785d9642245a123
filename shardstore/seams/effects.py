"""The events that a core handles and the effects that it asks for. A core is `handle(event, now_ns) -> effects`.

The shell around a core executes effects in order and decides nothing. Network, time, syncs of the WAL, and jobs are
events and effects; other file operations are plain calls through the filesystem seam. Received and Send, which every
message needs, and SyncWal and WalSynced are not frozen: making one costs a third of making a frozen dataclass. Nobody
changes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from shardstore.client_role import ADMIN
from shardstore.errors import Corruption
from shardstore.seams.filesystem import File


@dataclass(slots=True)
class Received:
    """A message arrived on a link. `peer` is its sender; empty on a link that has only one peer.

    `role` is what the sender may ask for, a ClientRole.
    """

    link: str
    peer: bytes
    frames: list[bytes]
    role: int = ADMIN


@dataclass(frozen=True, slots=True)
class PeerGone:
    """A peer of a bound link closed its connection, died, or was cut off."""

    link: str
    peer: bytes


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A connected link over tcp has reached its server, and both sides know each other."""

    link: str


@dataclass(frozen=True, slots=True)
class LinkDown:
    """A connected link over tcp has lost its connection. It is tried again and again; then comes LinkUp."""

    link: str


@dataclass(frozen=True, slots=True)
class LinkDenied:
    """The server of a connected link over tcp does not let this client in, for this reason. It is not tried again."""

    link: str
    why: str


@dataclass(frozen=True, slots=True)
class SendFailed:
    """A message could not be sent: the peer is gone, or was cut off because it does not read."""

    link: str
    peer: bytes
    frames: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Tick:
    """The time that the core named in `wakeup_ns` has come. A tick may also come early or without a reason."""


@dataclass(slots=True)
class WalSynced:
    """All records up to this LSN are on stable storage."""

    lsn: int


@dataclass(frozen=True, slots=True)
class WalSyncFailed:
    """A sync failed. This is final: these files are never synced again."""

    reason: str


@dataclass(frozen=True, slots=True)
class JobFinished:
    """A maintenance job succeeded. Its spec determines the type of `result`."""

    job: int
    result: Any


@dataclass(frozen=True, slots=True)
class JobFailed:
    """A maintenance job failed, and the files that it wrote are not used. If there is `damage`, a retry cannot help."""

    job: int
    reason: str
    damage: Corruption | None = None


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Orderly stop: the core refuses new work, finishes what it accepted, then asks for Stop."""


LinkEvent: TypeAlias = LinkUp | LinkDown | LinkDenied
"""What happens to a connected link over tcp."""
Incoming: TypeAlias = Received | PeerGone | LinkEvent
"""The events that a transport receives from its links."""
Event: TypeAlias = Incoming | SendFailed | Tick | WalSynced | WalSyncFailed | JobFinished | JobFailed | StopRequested


@dataclass(slots=True)
class Send:
    """Send a message. If it cannot be sent, the core gets SendFailed."""

    link: str
    peer: bytes
    frames: Sequence[bytes]


@dataclass(slots=True)
class SyncWal:
    """Sync these files, then the directory if one is given, then report WalSynced(lsn). One sync runs at a time."""

    files: tuple[File, ...]
    directory: str | None
    lsn: int


@dataclass(frozen=True, slots=True)
class StartJob:
    """Run a job in the maintenance process. One compaction and one other job can run at the same time."""

    job: int
    spec: Any


@dataclass(frozen=True, slots=True)
class ReportReady:
    """Report to the parent process that this one is ready to serve."""


@dataclass(frozen=True, slots=True)
class Say:
    """Print a message for the operator of the store."""

    words: str


@dataclass(frozen=True, slots=True)
class ReportWorkers:
    """Report to the router's parent process which workers must run from now on."""

    workers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """End the process. `failure` is the reason; empty for an ordinary end."""

    failure: str = ""


Effect: TypeAlias = Send | SyncWal | StartJob | ReportReady | Say | ReportWorkers | Stop


class Core(Protocol):
    """The logic of a process, without input and output."""

    def start(self, now_ns: int) -> list[Effect]:
        """Return the effects to execute before the first event."""

    def handle(self, event: Any, now_ns: int) -> list[Effect]:
        """Handle one event; return the effects to execute."""

    def end_turn(self, now_ns: int) -> list[Effect]:
        """Return the effects of what the events since the last turn made due. So replies do not wait for them."""

    def wakeup_ns(self) -> int | None:
        """Return the time of the next Tick that the core wants; None if it wants none."""
