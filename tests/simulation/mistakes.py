"""Mistakes of the kind that a store must not make, to be planted: proof that the simulation would notice them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import shardstore.client.planning
import shardstore.router.budget
import shardstore.workers.core
import shardstore.workers.jobs.compact
import shardstore.workers.jobs.compaction_plan
import shardstore.workers.jobs.drain
import shardstore.workers.jobs.merged_entries
import shardstore.workers.ranges.replay
import shardstore.workers.serving.scanning
import shardstore.workers.wal.record_format
import shardstore.workers.wal.recovery
from shardstore import router, workers
from shardstore.client.calls import ScanPage as PageCall
from shardstore.client.effects import Connect
from shardstore.client.joining import Joining
from shardstore.documents import TEMPORARY_SUFFIX
from shardstore.effects import Effect
from shardstore.errors import InvalidRequest
from shardstore.file_names import table_file
from shardstore.filesystem import Filesystem
from shardstore.identifiers import Buffer, RequestId
from shardstore.key_range import KeyRange
from shardstore.limits import DEDUP_BYTES_MAX
from shardstore.memory_plan import MemoryPlan
from shardstore.messages import ScanRequest
from shardstore.options import Durability
from shardstore.router.budget import Account
from shardstore.workers.jobs.output import Numbers
from shardstore.workers.jobs.specs import CompactionKind
from shardstore.workers.maintenance.queue import MaintenanceQueue
from shardstore.workers.overlay.immutable_run import ImmutableRun
from shardstore.workers.overlay.overlay import Overlay
from shardstore.workers.overlay.pin import DrainedRuns, Pin
from shardstore.workers.ranges.dedup import DedupWindow, Verdict
from shardstore.workers.ranges.empty_spans import EmptySpans
from shardstore.workers.ranges.known_requests import KnownRequests
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.results import BARRED, FAILED, Result
from shardstore.workers.segment.bloom import BloomFilter
from shardstore.workers.segment.manifest import Manifest
from shardstore.workers.segment.merge import merge
from shardstore.workers.segment.segment import Segment
from shardstore.workers.segment.table_format import Entries
from shardstore.workers.segment.table_reader import Table
from shardstore.workers.segment.tombstones import without_needless_tombstones
from shardstore.workers.serving.logged_write import LoggedWrite, answer
from shardstore.workers.serving.open_scans import OpenScan, OpenScans
from shardstore.workers.serving.reply import Asker
from shardstore.workers.serving.requests import page_entries, question_of, wanted_of
from shardstore.workers.serving.scan_page import NOTHING, ScanPage, scan_page
from shardstore.workers.serving.scanning import SORTED_A_TURN, Scanning
from shardstore.workers.serving.write_path import WritePath
from shardstore.workers.wal.record_format import RecordKind
from shardstore.workers.wal.writer import WalWriter
from tests.simulation import servers
from tests.simulation.sim_disk import Snapshot
from tests.simulation.sim_filesystem import SimFile, SimFilesystem
from tests.simulation.swarm import Patch, Swarm


class AcknowledgesBeforeSync(WritePath):
    """Every write is acknowledged as in ASYNC, whatever the user chose."""

    def __init__(self, wal: WalWriter, durability: Durability, *rest: Any) -> None:
        super().__init__(wal, Durability.ASYNC, *rest)


class ShowsUnsyncedWrites(WritePath):
    """A write is applied at once, so that readers see it, and acknowledged after its sync."""

    def write(self, owned: Any, asker: Asker, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        effects = super().write(owned, asker, frames, now_ns)
        if self._logged and (asker, None) in self._logged[-1].waiting[:1]:
            before_bytes = owned.overlay.active.size_bytes
            self._logged[-1].apply()
            self.buffered_bytes += owned.overlay.active.size_bytes - before_bytes
        return effects


def _append_and_refuse(wal: WalWriter, kind: RecordKind, *arguments: Any) -> int:
    """Sometimes a write that is in the log already is refused. An increment that is refused would show at once."""
    lsn = _append(wal, kind, *arguments)
    if lsn % 8 == 0 and kind is not RecordKind.INCREMENT:
        raise InvalidRequest("planted")
    return lsn


_append = WalWriter.append


def _note_without_numbers(
    window: DedupWindow, request: RequestId, lsn: int, lsn_durable: int, result: Result = None
) -> None:
    """It is known that an increment was applied, but not where the counter stood then."""
    _note(window, request, lsn, lsn_durable, result if result in (FAILED, BARRED) else None)


_note = DedupWindow.note


def _note_what_is_newer(window: DedupWindow, request: RequestId, *rest: Any, **named: Any) -> None:
    """Of a write that is applied again nothing is noted: the window refuses to note what it knows."""
    known = window._clients.get(request.client)
    if known is None or request.sequence > known.newest:
        _note(window, request, *rest, **named)


def _forget_without_a_trace(window: DedupWindow) -> None:
    """As if a client of which nothing is known could not have written before."""
    forgot = window._forgot
    _forget(window)
    window._forgot = forgot


_forget = DedupWindow._forget


def _reduced_to_nothing(known: KnownRequests) -> KnownRequests:
    """Not even the newest number of a client is kept."""
    return KnownRequests()


def _answer_at_once(writes: WritePath, logged: LoggedWrite | None, asker: Asker, result: Result) -> list[Effect]:
    """What was judged on a write that a crash may undo is told before its sync."""
    return [answer(asker, result, writes.pressure)]


def _tell_and_bar_nothing(
    writes: WritePath, owned: OwnedRange, asker: Asker, frames: Sequence[bytes], now_ns: int
) -> list[Effect]:
    """Who asks for an outcome is told how things stand, and they may change."""
    question = question_of(frames)
    noted = owned.dedup.noted(RequestId(question.client, question.sequence))
    return [answer(asker, noted.result if noted else BARRED, writes.pressure)]


class ForgetsToSync(WritePath):
    """The sync of ASYNC never comes."""

    def tick(self, now_ns: int) -> list[Effect]:
        self._sync_due_ns = None
        return []


class RetriesFailedSyncs(WritePath):
    """After a failed sync the next one is believed."""

    def fail(self, reason: str, askers: Sequence[Asker] = ()) -> list[Effect]:
        if askers:
            return super().fail(reason, askers)
        self._syncing = False
        return self._sync()


def _finish_sync_forgetting_failures(file: SimFile, snapshot: Snapshot) -> None:
    """A new handle for each try, in effect."""
    file._sync_failure = None
    _finish_sync(file, snapshot)


_finish_sync = SimFile.finish_sync


class ForgetsDirectories(SimFilesystem):
    """Does not sync some directories."""

    forgotten = ""

    def sync_directory(self, path: str) -> None:
        if not path.startswith(self.forgotten):
            super().sync_directory(path)


class ForgetsLogDirectories(ForgetsDirectories):
    """Names of log files are not synced."""

    forgotten = "workers/"


class ForgetsSegmentDirectories(ForgetsDirectories):
    """Names of tables and manifests are not synced."""

    forgotten = "segments/"


def _publish_without_sync(filesystem: Filesystem, path: str, parts: Sequence[Buffer]) -> None:
    temporary = path + TEMPORARY_SUFFIX
    if filesystem.exists(temporary):
        filesystem.remove(temporary)
    file = filesystem.create(temporary)
    file.append(parts)
    file.close()
    filesystem.rename(temporary, path)
    filesystem.sync_directory(path.rpartition("/")[0])


def _release_all_that_is_durable(queue: MaintenanceQueue) -> int:
    return min(queue.writes.wal.lsn_durable, queue.writes.lsn_applied)


def _waiting_for_all(owned: OwnedRange, checkpoint: int) -> Any:
    """Without a look at what the tables hold."""
    return _waiting(owned, 0)


_note = DedupWindow.note
_waiting = workers.ranges.replay._Waiting


def _keep_no_tombstone(entries: Entries, older: Sequence[Table]) -> Entries:
    """As if nothing lay below what is compacted."""
    return without_needless_tombstones(entries, [])


def _forget_what_is_carried(segment: Segment, manifest: Manifest) -> list[str]:
    """All old tables are taken for obsolete, those that the new manifest names too."""
    before = segment.manifest.tables
    _replace(segment, manifest)
    return [table_file(manifest.segment, record.number) for record in before] if before != manifest.tables else []


_replace = Segment.replace


def _carry_all(*arguments: Any) -> list[bool]:
    """No part is written anew, whatever the deltas hold inside its interval."""
    return [False for _ in _rewritten(*arguments)]


_rewritten = workers.jobs.compaction_plan._rewritten


def _drop_what_overtook(*arguments: Any) -> Manifest:
    """Deltas that were drained while the compaction ran go with those that it has read."""
    spec, manifest, *rest = arguments
    placed = _placed(spec, manifest, *rest)
    return placed if spec.kind == CompactionKind.BOTTOMS else replace(placed, deltas=())


_placed = workers.jobs.compact._placed


def _skip_border(call: PageCall, owned: KeyRange, resume: bytes) -> tuple[bytes, bytes] | None:
    """The first key of the next range is left out."""
    rest = _rest_of_scan(call, owned, resume)
    return (rest[0] + b"\0", rest[1]) if rest and not resume and not call.reverse else rest


_rest_of_scan = shardstore.client.planning.rest_of_scan


def _sees_no_third_key(bloom: BloomFilter, digests: Any) -> Any:
    """A filter that is wrong about some keys."""
    mask = _may_contain(bloom, digests)
    mask[digests[:, 0] % 3 == 0] = False
    return mask


_may_contain = BloomFilter.may_contain


def _begin_anew(scans: OpenScans, owned: OwnedRange, mark: bytes, client: int, now_ns: int) -> OpenScan | None:
    """A scan that is not open any more goes on with what the range is now."""
    return scans._scans.get(mark)


def _replace_by_whatever_was_drained(pin: Pin, drained: DrainedRuns) -> None:
    """A scan goes on from a table that holds what was written after its first page too."""
    covered = [layer for layer in pin.layers if isinstance(layer, ImmutableRun) and layer.lsn_last <= drained.lsn_last]
    if covered:
        pin.layers[: len(covered)] = [drained]


def _read_ahead_what_is_there_now(scanning: Scanning, request: ScanRequest) -> ScanPage:
    """The page that is read ahead shows what was written since the first page of its scan."""
    owned, _ = scanning.open.seen_by(request.mark)
    view = owned.view()
    while not view.sort(SORTED_A_TURN):
        pass
    wanted = wanted_of(request, owned.key_range)
    return scan_page(view, wanted, request.reverse, request.keys_only, page_entries(request)) if wanted else NOTHING


def _isolate_nothing(scans: OpenScans, owned: OwnedRange, asker: Asker, now_ns: int) -> OpenScan:
    """The scan is noted, and writers go on."""
    scan = _open_isolation(scans, owned, asker, now_ns)
    owned.isolated_until_ns = 0
    return scan


_open_isolation = OpenScans.open_isolation


def _count_leases_twice(worker: int, accounts: Mapping[int, Account], plan: MemoryPlan) -> int:
    """What the worker holds is counted as free once more."""
    held = accounts[worker].reserved or 0
    return min(
        router.budget.fair_shares(accounts, plan)[worker],
        2 * held + router.budget.free_bytes(accounts, plan),
    )


def _grant_at_once(accounts: Mapping[int, Account], plan: MemoryPlan) -> int:
    """Who was not heard since the router started is taken to have the least."""
    reserved = [plan.lease_floor if each.reserved is None else each.reserved for each in accounts.values()]
    return max(0, plan.buffer_bytes - sum(reserved))


_look = Joining._look


def _look_as_another(joining: Joining, now_ns: int, **silence: bool) -> list[Connect]:
    """Whoever goes to another url is another client there, and sends again what the first one may have done."""
    effects = _look(joining, now_ns, **silence)
    joining.client += len(effects) if joining.client else 0
    return effects


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is planted, and what a seed must have drawn to be worth a try: faults, power losses, durability and so on.

    `first_seed`: where to begin, so that what few seeds show is found in good time.
    """

    patches: tuple[Patch, ...]
    needs: tuple[str, ...] = ()
    first_seed: int = 0

    def may_show_in(self, swarm: Swarm) -> bool:
        """Whether the seed of this swarm is worth a try."""
        modes = (mode.name for mode in swarm.power_losses)
        drawn = {*swarm.faults, *modes, swarm.durability.name, *swarm.topology_changes}
        drawn |= {"few clients known"} if swarm.windows.clients < swarm.clients else set()
        drawn |= {"silent clients reduced"} if swarm.windows.bytes_max < DEDUP_BYTES_MAX else set()
        return drawn.issuperset(self.needs)


MISTAKES: dict[str, Mistake] = {
    "acknowledges before the sync": Mistake((Patch(workers.core, "WritePath", AcknowledgesBeforeSync),), first_seed=10),
    "shows writes before their sync": Mistake((Patch(workers.core, "WritePath", ShowsUnsyncedWrites),), first_seed=22),
    "forgets to sync in ASYNC": Mistake(
        (Patch(workers.core, "WritePath", ForgetsToSync),), needs=("ASYNC",), first_seed=9
    ),
    "refuses what it has logged": Mistake((Patch(WalWriter, "append", _append_and_refuse),)),
    "retries a failed sync": Mistake(
        (
            Patch(workers.core, "WritePath", RetriesFailedSyncs),
            Patch(SimFile, "finish_sync", _finish_sync_forgetting_failures),
        ),
        needs=("fail sync", "lose power"),
        first_seed=228,
    ),
    "applies retries again": Mistake(
        (
            Patch(DedupWindow, "judge", lambda window, request, retry: Verdict.NEW),
            Patch(DedupWindow, "note", _note_what_is_newer),
        ),
        needs=("break connection",),
        first_seed=264,
    ),
    "forgets a client without a trace": Mistake(
        (Patch(DedupWindow, "_forget", _forget_without_a_trace),),
        needs=("strand answers", "few clients known"),
        first_seed=125,
    ),
    "forgets the newest number of a silent client": Mistake(
        (Patch(KnownRequests, "reduced", _reduced_to_nothing),),
        needs=("strand answers", "silent clients reduced"),
        first_seed=145,
    ),
    "loses the dedup window in a drain": Mistake(
        (Patch(DedupWindow, "to_document", lambda window, lsn_durable: {}),), first_seed=315
    ),
    "forgets the result of an increment": Mistake(
        (Patch(DedupWindow, "note", _note_without_numbers),), needs=("strand answers",), first_seed=3
    ),
    "goes on believing that deleted keys stay so": Mistake(
        (Patch(EmptySpans, "note_put", lambda spans, keys: None),), first_seed=15
    ),
    "judges a condition without logged writes": Mistake(
        (Patch(WritePath, "_newest_logged", lambda writes, owned, key: None),), first_seed=3
    ),
    "answers a failed condition before what it was judged on is durable": Mistake(
        (Patch(WritePath, "_answer_after", _answer_at_once),), needs=("lose power",), first_seed=416
    ),
    "bars nothing that was not applied": Mistake((Patch(WritePath, "outcome", _tell_and_bar_nothing),), first_seed=10),
    "drops what was drained while it compacted": Mistake(
        (Patch(workers.jobs.compact, "_placed", _drop_what_overtook),), first_seed=92
    ),
    "gives a table of a drain the number of one that is being written": Mistake(
        (Patch(Numbers, "first_from", lambda numbers, number: number),), first_seed=2
    ),
    "releases the log before a drain": Mistake((Patch(MaintenanceQueue, "checkpoint", _release_all_that_is_durable),)),
    "believes log files that came back": Mistake(
        (
            Patch(workers.ranges.replay, "_Waiting", _waiting_for_all),
            Patch(workers.wal.recovery, "_needed", lambda firsts, lsn_checkpoint: firsts),
        ),
        needs=("lose power", "CHAOS"),
        first_seed=705,
    ),
    "does not sync names of log files": Mistake(
        (Patch(servers, "SimFilesystem", ForgetsLogDirectories),), first_seed=3
    ),
    "counts log files as synced without their names": Mistake(
        (Patch(WalWriter, "unsynced_directory", lambda writer: None),), needs=("lose power",), first_seed=10
    ),
    "does not sync names of tables": Mistake((Patch(servers, "SimFilesystem", ForgetsSegmentDirectories),)),
    "serves replayed data before it is durable": Mistake(
        (Patch(workers.wal.recovery, "publish_parts", _publish_without_sync),), first_seed=10
    ),
    "checks no checksum of records": Mistake(
        (Patch(workers.wal.record_format, "checksum", lambda data, seed=0: 0),),
        needs=("lose power", "CHAOS"),
        first_seed=23_493,
    ),
    "drops tombstones in drains": Mistake(
        (Patch(workers.jobs.drain, "merge", lambda batches: without_needless_tombstones(merge(batches), [])),)
    ),
    "drops tombstones in compactions over bottom mains": Mistake(
        (Patch(workers.jobs.merged_entries, "without_needless_tombstones", _keep_no_tombstone),), first_seed=39
    ),
    "releases the files of carried tables": Mistake((Patch(Segment, "replace", _forget_what_is_carried),)),
    "carries parts that deltas change": Mistake((Patch(workers.jobs.compaction_plan, "_rewritten", _carry_all),)),
    "skips a key at the border of ranges": Mistake((Patch(shardstore.client.planning, "rest_of_scan", _skip_border),)),
    "writes into a layer that a scan has pinned": Mistake(
        (Patch(Overlay, "writable", lambda overlay, lsn: overlay.active),), first_seed=59
    ),
    "goes on with a scan from a table that holds newer writes": Mistake(
        (
            Patch(Overlay, "cuts", lambda overlay, lsn_last: ()),
            Patch(Pin, "replace", _replace_by_whatever_was_drained),
        ),
        first_seed=175,
    ),
    "reads a page ahead from what is there now": Mistake(
        (Patch(Scanning, "_read_ahead", _read_ahead_what_is_there_now),)
    ),
    "goes on with a scan that it has closed": Mistake((Patch(OpenScans, "of_mark", _begin_anew),), first_seed=34),
    "takes any state of a range for that of the mark": Mistake(
        (Patch(workers.serving.scanning, "_checked_state", lambda owned, mark: b"state"),)
    ),
    "lets writers into an isolated range": Mistake((Patch(OpenScans, "open_isolation", _isolate_nothing),)),
    "counts a lease twice": Mistake((Patch(router.budget, "lease_for", _count_leases_twice),), first_seed=8),
    "is another client where its router is now": Mistake(
        (Patch(Joining, "_look", _look_as_another),), needs=("kill router", "break connection"), first_seed=2044
    ),
    "grants at once after a restart of the router": Mistake(
        (Patch(router.budget, "free_bytes", _grant_at_once),), needs=("kill router",), first_seed=232
    ),
    "has a filter that denies keys": Mistake((Patch(BloomFilter, "may_contain", _sees_no_third_key),)),
}
