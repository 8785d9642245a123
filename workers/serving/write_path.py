"""The way of a write: admission, WAL append, sync by durability mode, apply, acknowledge.

    ASYNC       append, apply, acknowledge; a sync every second
    GROUP_SYNC  append, wait for the shared sync that begins after it, apply, acknowledge
    SYNC        append, wait for a sync of its own, apply, acknowledge

So in the last two no reader sees a write that a crash could undo. A failed sync is final: what waits ends UNKNOWN,
and the worker stops.

COMPARE_AND_SET and INCREMENT are judged on the newest write of their key, in the log or applied. When the condition
holds, they go the way of the write that is their effect; else the answer waits until what it was judged on is applied.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from shardstore.effects import Effect, Stop, SyncWal
from shardstore.errors import Busy, DiskFull, InvalidRequest, NotWritable, StorageFailure
from shardstore.identifiers import RequestId
from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.messages import OutcomeAnswer, Refusal, encode
from shardstore.options import Durability
from shardstore.outcome import Ending
from shardstore.wire_format import Flag, Header, Op, Status
from shardstore.workers.load.meter import LoadMeter
from shardstore.workers.ranges.dedup import Noted, Verdict
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.results import BARRED, FAILED, Result
from shardstore.workers.serving.admission import MemoryLimits, Usage, admit, pressure
from shardstore.workers.serving.conditions import effect_of
from shardstore.workers.serving.drain_rate import RETRY_UNMEASURED_NS, DrainRate
from shardstore.workers.serving.logged_write import LoggedWrite, answer
from shardstore.workers.serving.reply import Asker
from shardstore.workers.serving.requests import keys_of, lone_key_of, question_of, values_of
from shardstore.workers.wal.record_format import RecordKind
from shardstore.workers.wal.writer import WalWriter

SYNC_INTERVAL_NS = SECOND_NS
THAW_NS = 5 * SECOND_NS
"""How often it is tried whether a frozen log could be written."""
ISOLATION_RETRY_NS = 20 * MILLISECOND_NS
_KINDS: dict[int, RecordKind] = {Op.PUT: RecordKind.PUT, Op.DELETE: RecordKind.DELETE}
_PUT = int(Op.PUT)
_DELETE = int(Op.DELETE)
_LAYOUT = Flag.KEYS_FIXED | Flag.VALUES_FIXED


class WritePath:
    """All writes of a worker, in the order of their LSNs.

    Invariants: `buffered_bytes` is the sum of all overlays; what waits in `_logged` is ordered by LSN, above
    everything applied.
    """

    def __init__(
        self, wal: WalWriter, durability: Durability, limits: MemoryLimits, buffered_bytes: int, load: LoadMeter
    ) -> None:
        self.wal = wal
        self._load = load
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
        self._thaw_due_ns = 0

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
        request = _request_of(header)
        verdict = owned.dedup.judge(request, bool(header.flags & Flag.RETRY))
        if verdict is not Verdict.NEW:
            return self._answer_known(owned, request, verdict, asker)
        _refuse_isolated(owned, now_ns)
        body = frames[1], frames[2] if values is not None else b""
        write = LoggedWrite(owned, keys, values, len(body[0]) + len(body[1]), [(asker, None)])
        return self._log(write, _KINDS[header.op], header.flags & _LAYOUT, body, request, now_ns)

    def write_if(self, owned: OwnedRange, asker: Asker, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        """Take a COMPARE_AND_SET or INCREMENT, judged on the newest of what is in the log; its effect is a write.

        Raises InvalidRequest, Corruption, Busy: then nothing was logged.
        """
        header = asker.header
        key = lone_key_of(header, frames, owned.key_range)
        owned.stored()
        request = _request_of(header)
        verdict = owned.dedup.judge(request, bool(header.flags & Flag.RETRY))
        if verdict is not Verdict.NEW:
            return self._answer_known(owned, request, verdict, asker)
        _refuse_isolated(owned, now_ns)
        newest = self._newest_logged(owned, key)
        effect = effect_of(header.op, frames, newest.get(key) if newest else owned.get(key))
        if effect is None:
            owned.dedup.note(request, self.wal.lsn_appended, self.wal.lsn_durable, FAILED)
            return self._answer_after(newest, asker, FAILED)
        kind, value, result = effect
        body = key, value or b""
        values = None if value is None else [value]
        write = LoggedWrite(owned, [key], values, len(key) + len(body[1]), [(asker, result)])
        return self._log(write, kind, _LAYOUT if values else int(Flag.KEYS_FIXED), body, request, now_ns)

    def outcome(self, owned: OwnedRange, asker: Asker, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        """Take an OUTCOME. A request that was not applied is barred, which is a write, before anybody is told so.

        Raises InvalidRequest, Corruption, Busy.
        """
        lone_key_of(asker.header, frames, owned.key_range)
        owned.stored()
        question = question_of(frames)
        request = RequestId(question.client, question.sequence)
        is_joined = any(map(owned.key_range.intersection, question.ranges_elsewhere))
        noted = owned.dedup.noted(request)
        if noted is not None and not is_joined:
            return self._answer_again(noted, asker)
        if is_joined or owned.dedup.has_forgotten(request):
            unknown = OutcomeAnswer(Ending.UNKNOWN.value)
            return [asker.accept(self.pressure, (encode(unknown),))]
        if owned.dedup.judge(request, retry=True) is Verdict.TOO_OLD:
            return [answer(asker, BARRED, self.pressure)]
        _refuse_isolated(owned, now_ns)
        write = LoggedWrite(owned, [], [], 0, [(asker, BARRED)])
        return self._log(write, RecordKind.BAR, 0, (b"", b""), request, now_ns)

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
        """The log can take no more: what waits ends UNKNOWN, and the worker stops.

        The writes stay logged and not applied: a retry that comes before the process ends gets no answer.
        """
        waiting = [*askers, *(asker for logged in self._logged for asker, _ in logged.waiting)]
        for logged in self._logged:
            logged.waiting.clear()
        refusal = Refusal(f"the write-ahead log failed: {reason}")
        return [*(asker.refuse(Status.UNKNOWN, refusal) for asker in waiting), Stop(refusal.what)]

    def refuse_frozen(self) -> None:
        """Raise why nothing can be written before the worker starts again, if that is so: Busy where room may come."""
        if self.wal.frozen is not None:
            failure = self.wal.frozen.failure
            raise Busy(str(failure), 0, 0, RETRY_UNMEASURED_NS) if isinstance(failure, DiskFull) else failure

    def require_durable(self, lsn: int) -> list[Effect]:
        """Have everything up to this LSN synced soon."""
        self._sync_wanted = max(self._sync_wanted, lsn)
        return self._sync()

    def wakeup_ns(self) -> int | None:
        """When the next sync of ASYNC is due."""
        return self._sync_due_ns

    def tick(self, now_ns: int) -> list[Effect]:
        """Begin the sync of ASYNC when it is due. End, for a new start, when a frozen log could be written."""
        if self.wal.frozen is not None:
            self._thaw_due_ns = self._thaw_due_ns or now_ns + THAW_NS
            if now_ns >= self._thaw_due_ns:
                self._thaw_due_ns = now_ns + THAW_NS
                if self.wal.could_thaw():
                    return [Stop(f"the disk takes writes again, which it did not: {self.wal.frozen.failure}")]
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

    def _log(
        self,
        write: LoggedWrite,
        kind: RecordKind,
        layout: int,
        body: tuple[bytes, bytes],
        request: RequestId,
        now_ns: int,
    ) -> list[Effect]:
        """Admit and log a write that was judged NEW; then it is on its way. Raises Busy."""
        owned = write.owned
        asker, result = write.waiting[0]
        self._admit(owned, write.admitted_bytes, now_ns)
        try:
            write.lsn = self.wal.append(kind, layout, len(write.keys), owned.segment_id, owned.epoch, request, *body)
        except DiskFull as full:
            raise Busy(str(full), 0, 0, RETRY_UNMEASURED_NS) from full
        except NotWritable:
            raise
        except StorageFailure as failure:
            return self.fail(str(failure), [asker])
        owned.dedup.note(request, write.lsn, self.wal.lsn_durable, result)
        if write.keys:
            op = _DELETE if write.values is None else _PUT
            self._load.note(owned.segment_id, op, write.keys, len(write.keys), write.payload_bytes)
        if self._asynchronous:
            self._sync_due_ns = self._sync_due_ns or now_ns + SYNC_INTERVAL_NS
            return self._apply(write)
        self._logged.append(write)
        self._logged_bytes += write.admitted_bytes
        return self._sync()

    def _apply(self, logged: LoggedWrite) -> list[Effect]:
        grown_bytes = logged.apply()
        self.buffered_bytes += grown_bytes
        self.grown_bytes += grown_bytes
        pressure = self.pressure
        return [answer(asker, result, pressure) for asker, result in logged.waiting]

    def _newest_logged(self, owned: OwnedRange, key: bytes) -> LoggedWrite | None:
        """The newest write of a key that is in the log, also of a parent, and not applied yet."""
        inherited = owned.inheritance.parents if owned.inheritance else ()
        for logged in reversed(self._logged):
            mine = logged.owned is owned or any(logged.owned is parent for parent in inherited)
            if mine and logged.get(key) is not None:
                return logged
        return None

    def _answer_known(self, owned: OwnedRange, request: RequestId, verdict: Verdict, asker: Asker) -> list[Effect]:
        """The answer to a write that must not be applied, or not again."""
        noted = owned.dedup.noted(request)
        if verdict is Verdict.TOO_OLD or noted is None:
            return [asker.refuse(Status.TOO_OLD, Refusal("its client has written later, or was forgotten"))]
        return self._answer_again(noted, asker)

    def _answer_again(self, noted: Noted, asker: Asker) -> list[Effect]:
        """A retry of a request that is noted, or a question for it: answered as the first one is, and not before."""
        logged = next((logged for logged in self._logged if logged.lsn == noted.lsn), None)
        return self._answer_after(logged, asker, noted.result)

    def _answer_after(self, logged: LoggedWrite | None, asker: Asker, result: Result) -> list[Effect]:
        """Answer when this write is applied, or now."""
        if logged is None:
            return [answer(asker, result, self.pressure)]
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
    return RequestId(header.client, header.sequence)


def _refuse_isolated(owned: OwnedRange, now_ns: int) -> None:
    if now_ns < owned.isolated_until_ns:
        raise Busy("a scan isolates the range", 1, 1, ISOLATION_RETRY_NS)
