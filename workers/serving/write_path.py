"""The way of a write: admission, WAL append, sync by durability mode, apply, acknowledge.

    ASYNC       append, apply, acknowledge; a sync every second
    GROUP_SYNC  append, wait for the shared sync that begins after it, apply, acknowledge
    SYNC        append, wait for a sync of its own, apply, acknowledge

So in the last two no reader sees a write that a crash could undo. A failed sync is final: what waits ends UNKNOWN,
and the worker stops.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from shardstore.effects import Effect, Stop, SyncWal
from shardstore.errors import Busy, DiskFull, InvalidRequest, StorageFailure
from shardstore.identifiers import RequestId
from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.messages import Refusal
from shardstore.options import Durability
from shardstore.wire_format import Flag, Op, Status
from workers.overlay.active_layer import ENTRY_OVERHEAD_BYTES
from workers.ranges.dedup import Verdict
from workers.ranges.owned_range import OwnedRange
from workers.serving.admission import MemoryLimits, Usage, admit, pressure
from workers.serving.drain_rate import RETRY_UNMEASURED_NS, DrainRate
from workers.serving.reply import Asker
from workers.serving.requests import keys_of, values_of
from workers.wal.record_format import RecordKind
from workers.wal.writer import WalWriter

SYNC_INTERVAL_NS = SECOND_NS
ISOLATION_RETRY_NS = 20 * MILLISECOND_NS
_KINDS: dict[int, RecordKind] = {Op.PUT: RecordKind.PUT, Op.DELETE: RecordKind.DELETE}
_PUT = int(Op.PUT)
_LAYOUT = Flag.KEYS_FIXED | Flag.VALUES_FIXED


@dataclass(slots=True)
class LoggedWrite:
    """A write that stands in the WAL and is not applied yet. `askers`: the first request and its retries."""

    lsn: int
    owned: OwnedRange
    keys: list[bytes]
    values: list[bytes] | None
    payload_bytes: int
    admitted_bytes: int
    askers: list[Asker]

    def apply(self) -> int:
        """Put the write into the active layer, a step that cannot fail. Answers by how many bytes that has grown."""
        owned = self.owned
        owned.writes_applied += 1
        active = owned.overlay.writable(self.lsn)
        if self.values is None:
            return active.delete(self.keys, self.payload_bytes, self.lsn)
        return active.put(self.keys, self.values, self.payload_bytes, self.lsn)


class WritePath:
    """All writes of a worker, in the order of their LSNs.

    Invariants: `buffered_bytes` is the sum of all overlays; what waits in `_logged` is ordered by LSN, above
    everything applied.
    """

    def __init__(self, wal: WalWriter, durability: Durability, limits: MemoryLimits, buffered_bytes: int) -> None:
        self.wal = wal
        self.limits = limits
        self.buffered_bytes = buffered_bytes
        self.drain_rate = DrainRate()
        self.refused_bytes = 0
        """Memory for the largest write that was refused since the worker last asked for a larger lease."""
        self.grown_bytes = 0
        """Bytes applied since the drain policy last looked."""
        self._durability = durability
        self._asynchronous = durability is Durability.ASYNC
        self._logged: deque[LoggedWrite] = deque()
        self._logged_bytes = 0
        self._syncing = False
        self._sync_wanted = 0
        self._sync_due_ns: int | None = None

    @property
    def pressure(self) -> int:
        """How full the buffers are, 0 to 255."""
        return pressure(self.held_bytes, self.limits)

    @property
    def held_bytes(self) -> int:
        """What counts against the lease: overlays, and what waits in the log to be applied."""
        return self.buffered_bytes + self._logged_bytes

    @property
    def logged_bytes(self) -> int:
        """What waits in the log to be applied."""
        return self._logged_bytes

    @property
    def idle(self) -> bool:
        """Nothing waits for a sync, and nothing acknowledged is unsynced."""
        return not self._logged and not self._syncing and self.wal.lsn_durable >= self.wal.lsn_appended

    @property
    def lsn_applied(self) -> int:
        """Every write up to here is in an overlay (or was drained from one)."""
        return self._logged[0].lsn - 1 if self._logged else self.wal.lsn_appended

    def write(self, owned: OwnedRange, asker: Asker, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        """Take a PUT or DELETE. Raises InvalidRequest, Corruption, Busy: then nothing was logged."""
        header = asker.header
        keys = keys_of(header, frames, owned.key_range)
        values = values_of(header, frames) if header.op == _PUT else None
        owned.stored()
        if not header.client:
            raise InvalidRequest("a write needs the client id that HELLO gives")
        request = RequestId(header.client, header.sequence)
        verdict = owned.dedup.judge(request, bool(header.flags & Flag.RETRY))
        if verdict is Verdict.DUPLICATE:
            return self._answer_again(owned.dedup.lsn_of(request), asker)
        if verdict is Verdict.TOO_OLD:
            return [asker.refuse(Status.TOO_OLD, Refusal("its client has written later, or was forgotten"))]
        payload_bytes = sum(map(len, frames)) - len(frames[0])
        admitted_bytes = payload_bytes + len(keys) * ENTRY_OVERHEAD_BYTES
        if now_ns < owned.isolated_until_ns:
            raise Busy("a scan isolates the range", 1, 1, ISOLATION_RETRY_NS)
        self._admit(owned, admitted_bytes, now_ns)
        try:
            lsn = self._append(owned, asker, request, frames)
        except DiskFull as full:
            raise Busy(f"disk is full ({full})", 0, 0, RETRY_UNMEASURED_NS) from full
        except StorageFailure as failure:
            return self.fail(str(failure), [asker])
        owned.dedup.note(request, lsn)
        logged = LoggedWrite(lsn, owned, keys, values, payload_bytes, admitted_bytes, [asker])
        if self._asynchronous:
            self._sync_due_ns = self._sync_due_ns or now_ns + SYNC_INTERVAL_NS
            return self._apply(logged)
        self._logged.append(logged)
        self._logged_bytes += admitted_bytes
        return self._sync()

    def has_waiting(self, owned: OwnedRange) -> bool:
        """Whether a write to the range is in the log and not applied yet."""
        return any(logged.owned is owned for logged in self._logged)

    def synced(self, lsn: int) -> list[Effect]:
        """A sync ended well: apply and acknowledge what it covers, and begin the next one if more waits."""
        self._syncing = False
        self.wal.mark_synced(lsn)
        effects: list[Effect] = []
        while self._logged and self._logged[0].lsn <= lsn:
            logged = self._logged.popleft()
            self._logged_bytes -= logged.admitted_bytes
            effects += self._apply(logged)
        return effects + self._sync()

    def fail(self, reason: str, askers: Sequence[Asker] = ()) -> list[Effect]:
        """The log can take no more: what waits ends UNKNOWN, and the worker stops."""
        waiting = [*askers, *(asker for logged in self._logged for asker in logged.askers)]
        self._logged.clear()
        refusal = Refusal(f"the write-ahead log failed: {reason}")
        return [*(asker.refuse(Status.UNKNOWN, refusal) for asker in waiting), Stop(refusal.what)]

    def require_durable(self, lsn: int) -> list[Effect]:
        """Have everything up to this LSN synced soon."""
        self._sync_wanted = max(self._sync_wanted, lsn)
        return self._sync()

    def wakeup_ns(self) -> int | None:
        """When the next sync of ASYNC is due."""
        return self._sync_due_ns

    def tick(self, now_ns: int) -> list[Effect]:
        """Begin the sync of ASYNC when it is due."""
        if self._sync_due_ns is None or self._sync_due_ns > now_ns:
            return []
        self._sync_due_ns = None
        return self.require_durable(self.wal.lsn_appended)

    def _admit(self, owned: OwnedRange, incoming_bytes: int, now_ns: int) -> None:
        overlay = owned.overlay
        usage = Usage(self.held_bytes, overlay.size_bytes, overlay.due_runs, self.wal.retained_bytes)
        try:
            admit(incoming_bytes, usage, self.limits)
        except Busy as busy:
            self.refused_bytes = max(self.refused_bytes, incoming_bytes)
            busy.retry_after_ns = self.drain_rate.retry_after_ns(incoming_bytes, now_ns)
            raise

    def _append(self, owned: OwnedRange, asker: Asker, request: RequestId, frames: Sequence[bytes]) -> int:
        header = asker.header
        return self.wal.append(
            _KINDS[header.op],
            header.flags & _LAYOUT,
            header.entries,
            owned.segment_id,
            owned.epoch,
            request,
            frames[1],
            frames[2] if len(frames) > 2 else b"",
        )

    def _apply(self, logged: LoggedWrite) -> list[Effect]:
        grown_bytes = logged.apply()
        self.buffered_bytes += grown_bytes
        self.grown_bytes += grown_bytes
        pressure = self.pressure
        return [asker.accept(pressure) for asker in logged.askers]

    def _answer_again(self, lsn: int, asker: Asker) -> list[Effect]:
        """A retry of a logged request: acknowledged now, or with the sync that the first one waits for."""
        for logged in self._logged:
            if logged.lsn == lsn:
                logged.askers.append(asker)
                return []
        return [asker.accept(self.pressure)]

    def _sync(self) -> list[Effect]:
        """Begin a sync unless one runs or nothing waits for one."""
        if self._logged:
            self._sync_wanted = self._logged[0 if self._durability is Durability.SYNC else -1].lsn
        if self._syncing or self._sync_wanted <= self.wal.lsn_durable:
            return []
        self._syncing = True
        lsn = self._sync_wanted if self._durability is Durability.SYNC else self.wal.lsn_appended
        return [SyncWal(self.wal.unsynced_files(), self.wal.unsynced_directory(), lsn)]
