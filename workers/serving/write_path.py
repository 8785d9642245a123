"""The path of a write: admission, WAL append, sync by durability mode, apply, acknowledge.

    ASYNC       append, apply, acknowledge; a sync every second
    GROUP_SYNC  append, wait for the shared sync that begins after it, apply, acknowledge
    SYNC        append, wait for a sync of its own, apply, acknowledge

So in the last two modes no reader sees a write that a crash could undo. A failed sync is final: waiting writes
get the reply UNKNOWN, and the worker stops.

COMPARE_AND_SET, INCREMENT, BATCH and TAKE are judged on the newest writes of their keys, logged or applied. If the
conditions hold, their effect is logged like any other write. Otherwise the reply waits until the newest write they were
judged on is applied.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from operator import lt

from shardstore.errors import Busy, DiskFull, InvalidRequest, NotWritable, StorageFailure
from shardstore.identifiers import RequestId, new_request_id
from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.options import Durability
from shardstore.outcome import Ending
from shardstore.seams.clock import NEVER_NS
from shardstore.seams.effects import Effect, Stop, SyncWal
from shardstore.wire.messages import OutcomeReply, Refusal, encode
from shardstore.wire.wire_format import Flag, Header, Op, Status
from shardstore.workers.load.meter import LoadMeter
from shardstore.workers.ranges.dedup import DedupVerdict, Noted
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.results import BARRED, FAILED, WriteResult
from shardstore.workers.serving.admission import MemoryLimits, admit
from shardstore.workers.serving.conditions import Judge
from shardstore.workers.serving.drain_rate import RETRY_UNMEASURED_NS, DrainRate
from shardstore.workers.serving.hybrid_clock import HybridClock, log_lease
from shardstore.workers.serving.logged_clear import LoggedClear
from shardstore.workers.serving.logged_write import LoggedWrite, reply_to
from shardstore.workers.serving.newest_values import NewestValues
from shardstore.workers.serving.reply import Asker
from shardstore.workers.serving.requests import (
    keys_of,
    lone_key_of,
    question_of,
    range_within,
    values_of_request,
)
from shardstore.workers.wal.record_format import RecordKind
from shardstore.workers.wal.writer import WalWriter

SYNC_INTERVAL_NS = SECOND_NS
THAW_NS = 5 * SECOND_NS
"""How often the worker checks whether a frozen log could be written."""
ISOLATION_RETRY_NS = 20 * MILLISECOND_NS
_KINDS: dict[int, RecordKind] = {Op.PUT: RecordKind.PUT, Op.DELETE: RecordKind.DELETE}
_PUT = int(Op.PUT)
_DELETE = int(Op.DELETE)
_LAYOUT = Flag.KEYS_FIXED | Flag.VALUES_FIXED
_RETRY = int(Flag.RETRY)
_NEW = DedupVerdict.NEW
GROWTHS_PER_LAYER = 16
"""The drain policy checks the layers each time overlays have grown by 1/GROWTHS_PER_LAYER of the size at which a layer
is sealed."""


class WritePath:
    """All writes of a worker, in the order of their LSNs.

    Invariants: `buffered_bytes` is the sum of all overlays, and `logged_bytes` that of `_logged`; the writes in
    `_logged` are ordered by LSN, above everything that is applied; except with ASYNC, what is applied is durable.
    """

    def __init__(
        self,
        wal: WalWriter,
        durability: Durability,
        limits: MemoryLimits,
        buffered_bytes: int,
        load: LoadMeter,
        clock: HybridClock,
    ) -> None:
        self.wal = wal
        self.clock = clock
        clock.is_free = wal.frozen is not None
        self._load = load
        self.limits = limits
        self.buffered_bytes = buffered_bytes
        self.drain_rate = DrainRate()
        self.refused_bytes = 0
        """Memory for the largest write that was refused since the worker last asked for a lease."""
        self._grown_bytes = 0
        self._durability = durability
        self._asynchronous = durability is Durability.ASYNC
        self._logged: deque[LoggedWrite] = deque()
        self.logged_bytes = 0
        """Memory of logged writes that are not applied yet."""
        self._syncing = False
        self._sync_wanted = 0
        self.sync_due_ns = NEVER_NS
        """When the next sync of ASYNC is due."""
        self._thaw_due_ns = 0

    @property
    def pressure(self) -> int:
        """How full the buffers are, 0 to 255."""
        return self.limits.pressure(self.buffered_bytes + self.logged_bytes)

    @property
    def held_bytes(self) -> int:
        """What counts against the lease: overlays, and logged writes that are not applied yet."""
        return self.buffered_bytes + self.logged_bytes

    def limit(self, limits: MemoryLimits) -> None:
        """Admit writes within these limits from now on."""
        self.limits = limits

    def take_refused_bytes(self) -> int:
        """Return `refused_bytes` and reset it: the worker asks for a lease."""
        refused_bytes, self.refused_bytes = self.refused_bytes, 0
        return refused_bytes

    def note_drained(self, freed_bytes: int) -> None:
        """Note that overlays hold this many bytes less."""
        self.buffered_bytes -= freed_bytes

    def has_grown(self) -> bool:
        """Whether overlays have grown so much since the last True that the drain policy should check the layers."""
        if self._grown_bytes < self.limits.seal_bytes // GROWTHS_PER_LAYER:
            return False
        self._grown_bytes = 0
        return True

    @property
    def idle(self) -> bool:
        """Whether no write waits for a sync, and every acknowledged write is synced."""
        return not self._logged and not self._syncing and self.wal.lsn_durable >= self.wal.lsn_appended

    @property
    def lsn_applied(self) -> int:
        """The LSN up to which every write is in an overlay, or was drained from one, and every lease is granted."""
        lsn = self._logged[0].lsn - 1 if self._logged else self.wal.lsn_appended
        return min(lsn, self.clock.logged[0][0] - 1) if self.clock.logged else lsn

    def write(self, owned: OwnedRange, asker: Asker, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        """Take a PUT or DELETE. Raises InvalidRequest, Corruption, Busy, NotWritable: then nothing was logged."""
        header = asker.header
        op, flags = header.op, header.flags
        keys = keys_of(header, frames, owned.key_range)
        values = values_of_request(header, frames) if op == _PUT else None
        if owned.segment is None:
            owned.stored()
        request = _request_of(header)
        verdict = owned.dedup.judge(request, flags & _RETRY != 0)
        if verdict is not _NEW:
            return self._reply_to_known(owned, request, verdict, asker)
        if now_ns < owned.isolated_until_ns:
            raise _isolated()
        body = frames[1], b"" if values is None else frames[2]
        write = LoggedWrite(owned, keys, values, len(body[0]) + len(body[1]), [(asker, None)])
        return self._log(write, _KINDS[op], flags & _LAYOUT, body, request, now_ns)

    def write_if(self, owned: OwnedRange, asker: Asker, judge: Judge, now_ns: int) -> list[Effect]:
        """Take a write that depends on the newest values, logged or applied; its effect is logged like any write.

        Raises InvalidRequest, Corruption, Busy, NotWritable: then nothing was logged.
        """
        header = asker.header
        owned.stored()
        request = _request_of(header)
        verdict = owned.dedup.judge(request, bool(header.flags & Flag.RETRY))
        if verdict is not _NEW:
            return self._reply_to_known(owned, request, verdict, asker)
        if now_ns < owned.isolated_until_ns:
            raise _isolated()
        newest = NewestValues(owned, self._logged, self.clock)
        change = judge(newest)
        if change is None or not change.keys:
            told = FAILED if change is None else None
            owned.dedup.note(request, self.wal.lsn_appended, self.wal.lsn_durable, told)
            return self._reply_after(newest.met, asker, told)
        kind, keys, values, body, layout, deletes, result, emptied, may_expire = change
        waiting = [(asker, result)]
        write = LoggedWrite(owned, keys, values, change.payload_bytes, waiting, deletes, emptied, may_expire)
        return self._log(write, kind, layout, body, request, now_ns)

    def clear(self, owned: OwnedRange, asker: Asker, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        """Take a DELETE_RANGE. Raises InvalidRequest, Corruption, Busy, NotWritable: then nothing was logged."""
        header = asker.header
        key_range = range_within(frames[1], frames[2], owned.key_range)
        owned.stored()
        request = _request_of(header)
        verdict = owned.dedup.judge(request, bool(header.flags & Flag.RETRY))
        if verdict is not _NEW:
            return self._reply_to_known(owned, request, verdict, asker)
        if now_ns < owned.isolated_until_ns:
            raise _isolated()
        write = LoggedClear.of(owned, key_range, [(asker, None)])
        return self._log(write, RecordKind.CLEAR, 0, (key_range.start, key_range.end), request, now_ns)

    def outcome(self, owned: OwnedRange, asker: Asker, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        """Take an OUTCOME. A request that was not applied is barred before the reply says so; barring is a write.

        Raises InvalidRequest, Corruption, Busy, NotWritable.
        """
        lone_key_of(asker.header, frames, owned.key_range)
        owned.stored()
        question = question_of(frames)
        request = RequestId(question.client, question.sequence)
        is_joined = any(map(owned.key_range.intersection, question.ranges_elsewhere))
        noted = owned.dedup.noted(request)
        if noted is not None and not is_joined:
            return self._reply_again(noted, asker)
        if is_joined or owned.dedup.has_forgotten(request):
            unknown = OutcomeReply(Ending.UNKNOWN.value)
            return [asker.accept(self.pressure, (encode(unknown),))]
        if owned.dedup.judge(request, retry=True) is DedupVerdict.TOO_OLD:
            return [reply_to(asker, BARRED, self.pressure)]
        if now_ns < owned.isolated_until_ns:
            raise _isolated()
        write = LoggedWrite(owned, [], [], 0, [(asker, BARRED)])
        return self._log(write, RecordKind.BAR, 0, (b"", b""), request, now_ns)

    def has_waiting(self, owned: OwnedRange) -> bool:
        """Whether a write to the range, or to a parent that it reads, is in the log and not applied yet."""
        inherited = owned.inheritance.parents if owned.inheritance else ()
        return any(logged.owned is each for logged in self._logged for each in (owned, *inherited))

    def synced(self, lsn: int) -> list[Effect]:
        """Apply and acknowledge the writes that a sync has covered, and begin the next sync if more writes wait."""
        self._syncing = False
        self.wal.mark_synced(lsn)
        if self.clock.logged:
            self.clock.grant(lsn)
        effects: list[Effect] = []
        while self._logged and self._logged[0].lsn <= lsn:
            logged = self._logged.popleft()
            self.logged_bytes -= logged.admitted_bytes()
            effects += self._apply(logged)
        return effects + self._sync()

    def fail(self, reason: str, askers: Sequence[Asker] = ()) -> list[Effect]:
        """Reply UNKNOWN to all waiting writes, and stop the worker: the log takes no more records.

        The writes stay logged and not applied: a retry that comes before the process ends gets no reply.
        """
        waiting = [*askers, *(asker for logged in self._logged for asker, _ in logged.waiting)]
        for logged in self._logged:
            logged.waiting.clear()
        refusal = Refusal(f"the write-ahead log failed: {reason}")
        return [*(asker.refuse(Status.UNKNOWN, refusal) for asker in waiting), Stop(refusal.what)]

    def refuse_frozen(self) -> None:
        """If the log is frozen, raise why: Busy if the disk is full, as room may come."""
        if self.wal.frozen is not None:
            failure = self.wal.frozen.failure
            raise Busy(str(failure), 0, 0, RETRY_UNMEASURED_NS) if isinstance(failure, DiskFull) else failure

    def lease_clock(self) -> list[Effect]:
        """Log another lease of the clock if it needs one: some entries of the worker expire."""
        try:
            is_logged = log_lease(self.clock, self.wal, self._asynchronous)
            waits = is_logged or self.clock.logged  # in SYNC, the sync of a write may end before a lease
            return self.require_durable(self.wal.lsn_appended) if waits else []
        except NotWritable:  # the clock waits until there is room
            return []
        except StorageFailure as failure:
            return self.fail(str(failure))

    def require_durable(self, lsn: int) -> list[Effect]:
        """Have everything up to this LSN synced soon."""
        self._sync_wanted = max(self._sync_wanted, lsn)
        return self._sync()

    def tick(self, now_ns: int) -> list[Effect]:
        """Begin the sync of ASYNC if it is due. Stop, to be started again, once a frozen log could be written."""
        if self.wal.frozen is not None:
            self._thaw_due_ns = self._thaw_due_ns or now_ns + THAW_NS
            if now_ns >= self._thaw_due_ns:
                self._thaw_due_ns = now_ns + THAW_NS
                if self.wal.could_thaw():
                    return [Stop(f"the disk takes writes again; before it did not: {self.wal.frozen.failure}")]
        if self.sync_due_ns > now_ns:
            return []
        self.sync_due_ns = NEVER_NS
        return self.require_durable(self.wal.lsn_appended)

    def check_invariants(self, ranges: Collection[OwnedRange]) -> None:
        """Raise AssertionError if an invariant of this class, or of the log, does not hold. `ranges`: all ranges."""
        assert self.buffered_bytes == sum([owned.overlay.size_bytes for owned in ranges]), "overlays are miscounted"
        assert self.logged_bytes == sum([each.admitted_bytes() for each in self._logged]), "logged bytes are miscounted"
        lsns = [logged.lsn for logged in self._logged]
        assert all(map(lt, lsns, lsns[1:])), "writes are out of order"
        lsn_applied = self.lsn_applied
        for owned in ranges:
            owned.overlay.check_ends_by(lsn_applied)
        assert self._asynchronous or lsn_applied <= self.wal.lsn_durable, "a write was applied before its sync"
        self.clock.check_invariants()
        self.wal.check_invariants()

    def _admit(self, owned: OwnedRange, incoming_bytes: int, now_ns: int) -> None:
        range_bytes, due_runs = owned.overlay.usage()
        usage = self.buffered_bytes + self.logged_bytes, range_bytes, due_runs, self.wal.retained_bytes()
        try:
            admit(incoming_bytes, usage, self.limits)
        except Busy as busy:
            self.refused_bytes = max(self.refused_bytes, incoming_bytes)
            busy.retry_after_ns = self.drain_rate.retry_after_ns(incoming_bytes, now_ns)
            raise

    def _log(
        self,
        write: LoggedWrite,
        kind: RecordKind,
        layout: int,
        body: tuple[bytes, bytes],
        request: RequestId,
        now_ns: int,
    ) -> list[Effect]:
        """Admit and log a write that was judged NEW. Raises Busy, NotWritable."""
        owned = write.owned
        asker, result = write.waiting[0]
        wal, keys = self.wal, write.keys
        self._admit(owned, write.admitted_bytes(), now_ns)
        try:
            if write.may_expire:
                log_lease(self.clock, wal, self._asynchronous)
            write.lsn = wal.append(kind, layout, len(keys), owned.segment_id, owned.epoch, request, body[0], body[1])
        except DiskFull as full:
            raise Busy(str(full), 0, 0, RETRY_UNMEASURED_NS) from full
        except NotWritable:
            raise
        except StorageFailure as failure:
            return self.fail(str(failure), [asker])
        owned.dedup.note(request, write.lsn, wal.lsn_durable, result)
        if keys:
            op = _DELETE if write.values is None else _PUT
            self._load.note(owned.segment_id, op, keys, len(keys), write.payload_bytes)
        if self._asynchronous:
            if self.sync_due_ns == NEVER_NS:
                self.sync_due_ns = now_ns + SYNC_INTERVAL_NS
            return self._apply(write)
        self._logged.append(write)
        self.logged_bytes += write.admitted_bytes()
        return self._sync()

    def _apply(self, logged: LoggedWrite) -> list[Effect]:
        grown_bytes = logged.apply()
        self.buffered_bytes += grown_bytes
        self._grown_bytes += grown_bytes
        pressure = self.limits.pressure(self.buffered_bytes + self.logged_bytes)
        return [reply_to(asker, result, pressure) for asker, result in logged.waiting]

    def _reply_to_known(
        self, owned: OwnedRange, request: RequestId, verdict: DedupVerdict, asker: Asker
    ) -> list[Effect]:
        """The reply to a write that must not be applied, or not again."""
        noted = owned.dedup.noted(request)
        if verdict is DedupVerdict.TOO_OLD or noted is None:
            return [asker.refuse(Status.TOO_OLD, Refusal("its client has written later, or was forgotten"))]
        return self._reply_again(noted, asker)

    def _reply_again(self, noted: Noted, asker: Asker) -> list[Effect]:
        """Reply to a retry of a known request, or to a question about it, like the request itself and not before it."""
        logged = next((logged for logged in self._logged if logged.lsn == noted.lsn), None)
        return self._reply_after(logged, asker, noted.result)

    def _reply_after(self, logged: LoggedWrite | None, asker: Asker, result: WriteResult) -> list[Effect]:
        """Reply once this write is applied, or now if there is none."""
        if logged is None:
            return [reply_to(asker, result, self.pressure)]
        logged.waiting.append((asker, result))
        return []

    def _sync(self) -> list[Effect]:
        """Begin a sync unless one runs or nothing waits for one."""
        if self._logged:
            self._sync_wanted = self._logged[0 if self._durability is Durability.SYNC else -1].lsn
        if self._syncing or self._sync_wanted <= self.wal.lsn_durable:
            return []
        self._syncing = True
        lsn = self._sync_wanted if self._durability is Durability.SYNC else self.wal.lsn_appended
        return [SyncWal(self.wal.unsynced_files(), self.wal.unsynced_directory(), lsn)]


def _request_of(header: Header) -> RequestId:
    if not header.client:
        raise InvalidRequest("a write needs the client id that HELLO gives")
    return new_request_id((header.client, header.sequence))


def _isolated() -> Busy:
    return Busy("a scan isolates the range", 1, 1, ISOLATION_RETRY_NS)
