"""Mistakes that a store must not make. They are planted to prove that the simulation finds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import shardstore.client.calls.pages
import shardstore.router.budget
import shardstore.workers.core
import shardstore.workers.jobs.compact
import shardstore.workers.jobs.compaction_plan
import shardstore.workers.jobs.drain
import shardstore.workers.jobs.merged_entries
import shardstore.workers.ranges.replay
import shardstore.workers.serving.scan_path
import shardstore.workers.wal.record_format
import shardstore.workers.wal.record_run
import shardstore.workers.wal.recovery
from shardstore import router, workers
from shardstore.client.calls.calls import Page
from shardstore.client.calls.calls import ScanPage as PageCall
from shardstore.client.direct.ask import Ask
from shardstore.client.direct.readable_range import ReadableRange
from shardstore.client.direct.reader import Reader
from shardstore.client.direct.table_view import TableView
from shardstore.client.session.effects import Connect
from shardstore.client.session.router_contact import RouterContact
from shardstore.errors import InvalidRequest
from shardstore.files.documents import TEMPORARY_SUFFIX
from shardstore.files.file_names import table_file
from shardstore.identifiers import Buffer, RequestId
from shardstore.key_range import KeyRange
from shardstore.limits import DEDUP_BYTES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX
from shardstore.memory_plan import MemoryPlan
from shardstore.options import Durability
from shardstore.router.budget import Account
from shardstore.seams.clock import NEVER_NS
from shardstore.seams.effects import Effect
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.bloom import BloomFilter
from shardstore.tables.empty_ranges import EmptyRanges
from shardstore.tables.manifest import Manifest
from shardstore.tables.scan_page import NOTHING, EncodedPage, scan_page
from shardstore.tables.segment import Segment
from shardstore.tables.table_format import Entries
from shardstore.tables.table_reader import Table
from shardstore.wire.columns import decode, encode_variable
from shardstore.wire.messages import ScanRequest
from shardstore.wire.route_map import RouteMap
from shardstore.wire.wire_format import Flag
from shardstore.workers.jobs.output import Numbers
from shardstore.workers.jobs.specs import CompactionKind
from shardstore.workers.maintenance.kinds.releases import Releases
from shardstore.workers.overlay.immutable_run import ImmutableRun
from shardstore.workers.overlay.overlay import Overlay
from shardstore.workers.overlay.pin import DrainedRuns, Pin
from shardstore.workers.ranges.dedup import DedupVerdict, DedupWindow
from shardstore.workers.ranges.known_requests import KnownRequests
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.results import BARRED, FAILED, Taken, WriteResult
from shardstore.workers.segment.tombstones import without_needless_tombstones
from shardstore.workers.serving.logged_write import LoggedWrite, reply_to
from shardstore.workers.serving.newest_values import NewestValues
from shardstore.workers.serving.open_scans import OpenScan, OpenScans
from shardstore.workers.serving.reply import Asker
from shardstore.workers.serving.requests import question_of, wanted_of
from shardstore.workers.serving.scan_path import SORTED_A_TURN, ScanPath
from shardstore.workers.serving.write_path import WritePath
from shardstore.workers.wal.record_format import Record, RecordKind
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
    """A write is applied at once, so that readers see it, but acknowledged after its sync."""

    def write(self, owned: Any, asker: Asker, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        effects = super().write(owned, asker, frames, now_ns)
        if self._logged and (asker, None) in self._logged[-1].waiting[:1]:
            before_bytes = owned.overlay.active.size_bytes
            write = self._logged[-1]
            owned.apply(write.keys, write.values, write.payload_bytes, write.lsn)
            self.buffered_bytes += owned.overlay.active.size_bytes - before_bytes
        return effects


def _append_and_refuse(wal: WalWriter, kind: RecordKind, *arguments: Any) -> int:
    """Sometimes a write that is already in the log is refused. A refused increment would show at once."""
    lsn = _append(wal, kind, *arguments)
    if lsn % 8 == 0 and kind is not RecordKind.INCREMENT:
        raise InvalidRequest("planted")
    return lsn


_append = WalWriter.append


def _note_without_numbers(
    window: DedupWindow, request: RequestId, lsn: int, lsn_durable: int, result: WriteResult = None
) -> None:
    """The window knows that an increment was applied, but not its result."""
    _note(window, request, lsn, lsn_durable, result if result in (FAILED, BARRED) else None)


_note = DedupWindow.note


def _note_what_is_newer(window: DedupWindow, request: RequestId, *rest: Any, **named: Any) -> None:
    """A write that is applied again is not noted, since the window refuses to note a known write."""
    known = window._clients.get(request.client)
    if known is None or request.sequence > known.newest:
        _note(window, request, *rest, **named)


def _forget_without_a_trace(window: DedupWindow) -> None:
    """As if an unknown client could not have written before."""
    forgot = window._forgot
    _forget(window)
    window._forgot = forgot


_forget = DedupWindow._forget


def _reduced_to_nothing(known: KnownRequests) -> KnownRequests:
    """Not even the newest sequence of a client is kept."""
    return KnownRequests()


def _reply_at_once(writes: WritePath, logged: LoggedWrite | None, asker: Asker, result: WriteResult) -> list[Effect]:
    """A condition evaluated against a write that a crash may undo is answered before the sync of the write."""
    return [reply_to(asker, result, writes.pressure)]


def _tell_and_bar_nothing(
    writes: WritePath, owned: OwnedRange, asker: Asker, frames: Sequence[bytes], now_ns: int
) -> list[Effect]:
    """The reply to a question about an outcome gives the present state, which may change later."""
    question = question_of(frames)
    noted = owned.dedup.noted(RequestId(question.client, question.sequence))
    return [reply_to(asker, noted.result if noted else BARRED, writes.pressure)]


class ForgetsToSync(WritePath):
    """The periodic sync of ASYNC never happens."""

    def tick(self, now_ns: int) -> list[Effect]:
        self.sync_due_ns = NEVER_NS
        return []


class RetriesFailedSyncs(WritePath):
    """After a failed sync the next one is trusted."""

    def fail(self, reason: str, askers: Sequence[Asker] = ()) -> list[Effect]:
        if askers:
            return super().fail(reason, askers)
        self._syncing = False
        return self._sync()


def _finish_sync_forgetting_failures(file: SimFile, snapshot: Snapshot) -> None:
    """In effect, each attempt uses a new handle."""
    file._sync_failure = None
    _finish_sync(file, snapshot)


_finish_sync = SimFile.finish_sync


class ForgetsDirectories(SimFilesystem):
    """A mistake: some directories are not synced."""

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


def _release_all_that_is_durable(releases: Releases) -> int:
    return min(releases._writes.wal.lsn_durable, releases._writes.lsn_applied)


def _waiting_for_all(owned: OwnedRange, checkpoint: int) -> Any:
    """Tombstones are dropped without checking what the tables hold."""
    return _waiting(owned, 0)


_note = DedupWindow.note
_waiting = workers.ranges.replay._Waiting


def _take_half_of_a_batch(waiting: Any, record: Record, header: Any) -> None:
    """A batch that is replayed loses its second half."""
    if record.kind == RecordKind.BATCH and record.entries > 1:
        half = record.entries // 2
        keys = decode(record.keys, bool(record.layout & Flag.KEYS_FIXED), record.entries, 1, KEY_BYTES_MAX)
        fixed = bool(record.layout & Flag.VALUES_FIXED)
        values = decode(record.values, fixed, record.entries, 0, VALUE_BYTES_MAX, nullable=True)
        columns = memoryview(encode_variable(keys[:half])), memoryview(encode_variable(values[:half]))
        record = record._replace(layout=0, entries=half, keys=columns[0], values=columns[1])
    _take_any(waiting, record, header)


_take_any = workers.ranges.replay._Waiting._take_any


def _take_again(window: DedupWindow, request: RequestId, retry: bool) -> DedupVerdict:
    """A retry of a TAKE is new."""
    noted = window.noted(request)
    return DedupVerdict.NEW if noted and isinstance(noted.result, Taken) else _judge(window, request, retry)


_judge = DedupWindow.judge


def _keep_no_tombstone(entries: Entries, older: Sequence[Table]) -> Entries:
    """As if there were nothing below the compacted layers."""
    return without_needless_tombstones(entries, [])


def _forget_what_is_carried(segment: Segment, manifest: Manifest) -> list[str]:
    """All old tables count as obsolete, even those that the new manifest names."""
    before = segment.manifest.tables
    _replace(segment, manifest)
    return [table_file(manifest.segment, record.number) for record in before] if before != manifest.tables else []


_replace = Segment.replace


def _carry_all(*arguments: Any) -> list[bool]:
    """No part is rewritten, whatever the deltas hold within its interval."""
    return [False for _ in _rewritten(*arguments)]


_rewritten = workers.jobs.compaction_plan._rewritten


def _drop_what_overtook(*arguments: Any) -> Manifest:
    """Deltas drained while the compaction ran are removed with those that it has read."""
    spec, manifest, *rest = arguments
    placed = _placed(spec, manifest, *rest)
    return placed if spec.kind == CompactionKind.BOTTOMS else replace(placed, deltas=())


_placed = workers.jobs.compact._placed


def _skip_border(call: PageCall, owned: KeyRange, resume: bytes) -> tuple[bytes, bytes] | None:
    """The first key of the next range is left out."""
    rest = _rest_of_scan(call, owned, resume)
    return (rest[0] + b"\0", rest[1]) if rest and not resume and not call.reverse else rest


_rest_of_scan = shardstore.client.calls.pages.rest_of_scan


def _sees_no_third_key(bloom: BloomFilter, digests: Any) -> Any:
    """A filter that denies some present keys."""
    mask = _may_contain(bloom, digests)
    mask[digests[:, 0] % 3 == 0] = False
    return mask


_may_contain = BloomFilter.may_contain


def _view_whatever_is_in_memory(readable: ReadableRange, owned: KeyRange) -> TableView | None:
    """A scan of the tables does not show what is in no table yet."""
    slot = readable._slot()
    if slot is None:
        return None
    segment = readable._files.segment(readable.route.segment, slot[1])
    return TableView(owned, segment.layers(), segment.tables, segment.entry_bytes, EmptyRanges())


def _page_without_view(reader: Reader, call: PageCall, routes: RouteMap) -> Page | Ask:
    """A snapshot goes on with what is there when its next page is read."""
    page = _read_page(reader, call, routes)
    return page if isinstance(page, Ask) else page._replace(view=None)


_read_page = Reader.page
_CLOSE = OpenScans.close


def _close_and_keep_page(scans: OpenScans, scan: OpenScan, why: str = "its last page was answered") -> None:
    """Close a scan, but keep the page that was read ahead for it: no client notices, but memory is lost."""
    pages = dict(scans.ahead._read)
    _CLOSE(scans, scan, why)
    scans.ahead._read = pages


def _begin_anew(scans: OpenScans, owned: OwnedRange, cursor: bytes, client: int, now_ns: int) -> OpenScan | None:
    """A scan that is no longer open continues with the present state of the range."""
    return scans._scans.get(cursor)


def _replace_by_whatever_was_drained(pin: Pin, drained: DrainedRuns) -> None:
    """A scan continues from a table that also holds writes made after its first page."""
    covered = [layer for layer in pin.layers if isinstance(layer, ImmutableRun) and layer.lsn_last <= drained.lsn_last]
    if covered:
        pin.layers[: len(covered)] = [drained]


def _read_ahead_what_is_there_now(scans: ScanPath, request: ScanRequest) -> EncodedPage:
    """A page read ahead shows writes made since the first page of its scan."""
    owned, pinned = scans.open.seen_by(request.cursor)
    view = owned.view()
    while not view.sort(SORTED_A_TURN):
        pass
    wanted = wanted_of(request, owned.key_range)
    if wanted is None:
        return NOTHING
    return scan_page(view.layers, wanted, request.reverse, request.keys_only, request.limit, pinned.now_ms)


def _isolate_nothing(scans: OpenScans, owned: OwnedRange, asker: Asker, now_ns: int, clock_ms: int) -> OpenScan:
    """The scan is registered, but writers continue."""
    scan = _open_isolation(scans, owned, asker, now_ns, clock_ms)
    owned.end_isolation()
    return scan


_open_isolation = OpenScans.open_isolation


def _count_leases_twice(worker: int, accounts: Mapping[int, Account], plan: MemoryPlan) -> int:
    """The lease of the worker is counted as free a second time."""
    held = accounts[worker].reserved or 0
    return min(
        router.budget.fair_shares(accounts, plan)[worker],
        2 * held + router.budget.free_bytes(accounts, plan),
    )


def _grant_at_once(accounts: Mapping[int, Account], plan: MemoryPlan) -> int:
    """A worker not heard since the router started is assumed to have the minimum lease."""
    reserved = [plan.lease_floor if each.reserved is None else each.reserved for each in accounts.values()]
    return max(0, plan.buffer_bytes - sum(reserved))


_look = RouterContact._look


def _look_as_another(contact: RouterContact, now_ns: int, **silence: bool) -> list[Connect]:
    """A client that goes to another url gets a new client id, and resends requests that may have been applied."""
    effects = _look(contact, now_ns, **silence)
    contact.client += len(effects) if contact.client else 0
    return effects


@dataclass(frozen=True, slots=True)
class Mistake:
    """A planted mistake, and what a suitable seed must have drawn: faults, power losses, durability and so on.

    `first_seed`: the seed to begin with, so that a mistake that few seeds show is found soon.
    """

    patches: tuple[Patch, ...]
    needs: tuple[str, ...] = ()
    first_seed: int = 0

    def may_show_in(self, swarm: Swarm) -> bool:
        """Whether the seed of this swarm is suitable."""
        modes = (mode.name for mode in swarm.power_losses)
        drawn = {*swarm.faults, *modes, swarm.durability.name, *swarm.topology_changes}
        drawn |= {"whole ranges"} if "delete_range" in swarm.weights else set()
        drawn |= {"few clients known"} if swarm.windows.clients < swarm.clients else set()
        drawn |= {"silent clients reduced"} if swarm.windows.bytes_max < DEDUP_BYTES_MAX else set()
        drawn |= {"batches"} if "batch" in swarm.weights else set()
        drawn |= {"expiry"} if "put_until" in swarm.weights else set()
        drawn |= {"walls jump"} if swarm.walls_off_ms else set()
        drawn |= {"takes"} if swarm.weights.get("take") else set()
        drawn |= {"kept together"} if "keep_together" in swarm.topology_changes else set()
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
        first_seed=380,
    ),
    "goes on with jobs after a failed sync": Mistake(
        (Patch(servers.Maintenance, "_is_final", lambda maintenance, failure: False),),
        needs=("fail sync",),
        first_seed=82,
    ),
    "applies retries again": Mistake(
        (
            Patch(DedupWindow, "judge", lambda window, request, retry: DedupVerdict.NEW),
            Patch(DedupWindow, "note", _note_what_is_newer),
        ),
        needs=("break connection",),
        first_seed=535,
    ),
    "forgets a client without a trace": Mistake(
        (Patch(DedupWindow, "_forget", _forget_without_a_trace),),
        needs=("strand answers", "few clients known"),
        first_seed=164,
    ),
    "forgets the newest number of a silent client": Mistake(
        (Patch(KnownRequests, "reduced", _reduced_to_nothing),),
        needs=("strand answers", "silent clients reduced"),
        first_seed=213,
    ),
    "loses the dedup window in a drain": Mistake(
        (Patch(DedupWindow, "to_document", lambda window, lsn_durable: {}),), first_seed=2_046
    ),
    "forgets the result of an increment": Mistake(
        (Patch(DedupWindow, "note", _note_without_numbers),), needs=("strand answers",), first_seed=63
    ),
    "goes on believing that deleted keys stay so": Mistake(
        (Patch(EmptyRanges, "note_put", lambda spans, keys: None),), first_seed=15
    ),
    "judges a condition without logged writes": Mistake(
        (Patch(NewestValues, "not_applied", lambda newest: iter(())),), first_seed=3
    ),
    "answers a failed condition before what it was judged on is durable": Mistake(
        (Patch(WritePath, "_reply_after", _reply_at_once),), needs=("lose power",), first_seed=870
    ),
    "bars nothing that was not applied": Mistake((Patch(WritePath, "outcome", _tell_and_bar_nothing),), first_seed=58),
    "drops what was drained while it compacted": Mistake(
        (Patch(workers.jobs.compact, "_placed", _drop_what_overtook),), first_seed=177
    ),
    "gives a table of a drain the number of one that is being written": Mistake(
        (Patch(Numbers, "first_from", lambda numbers, number: number),), first_seed=76
    ),
    "releases the log before a drain": Mistake((Patch(Releases, "checkpoint", _release_all_that_is_durable),)),
    "believes log files that came back": Mistake(
        (
            Patch(workers.ranges.replay, "_Waiting", _waiting_for_all),
            Patch(workers.wal.recovery, "needed_files", lambda firsts, lsn_checkpoint: firsts),
        ),
        needs=("lose power", "CHAOS"),
        first_seed=1_401,
    ),
    "applies half a batch after a crash": Mistake(
        (Patch(workers.ranges.replay._Waiting, "_take_any", _take_half_of_a_batch),), needs=("batches",), first_seed=126
    ),
    "takes twice for a take that is retried": Mistake(
        (Patch(DedupWindow, "judge", _take_again), Patch(DedupWindow, "note", _note_what_is_newer)),
        needs=("takes",),
        first_seed=3_547,
    ),
    "does not sync names of log files": Mistake(
        (Patch(servers, "SimFilesystem", ForgetsLogDirectories),), first_seed=3
    ),
    "counts log files as synced without their names": Mistake(
        (Patch(WalWriter, "unsynced_directory", lambda writer: None),), needs=("lose power",), first_seed=10
    ),
    "does not sync names of tables": Mistake((Patch(servers, "SimFilesystem", ForgetsSegmentDirectories),)),
    "serves replayed data before it is durable": Mistake(
        (Patch(workers.wal.recovery, "publish_pieces", _publish_without_sync),), first_seed=41
    ),
    "checks no checksum of records": Mistake(
        (
            Patch(workers.wal.record_format, "checksum", lambda data, seed=0: 0),
            Patch(workers.wal.record_run, "checksum", lambda data, seed=0: 0),
        ),
        needs=("lose power", "CHAOS"),
        first_seed=3189,
    ),
    "drops tombstones in drains": Mistake(
        (
            Patch(
                workers.jobs.drain,
                "without_needless_tombstones",
                lambda entries, older: without_needless_tombstones(entries, []),
            ),
        )
    ),
    "drops tombstones in compactions over bottom mains": Mistake(
        (Patch(workers.jobs.merged_entries, "without_needless_tombstones", _keep_no_tombstone),), first_seed=89
    ),
    "releases the files of carried tables": Mistake((Patch(Segment, "replace", _forget_what_is_carried),)),
    "carries parts that deltas change": Mistake((Patch(workers.jobs.compaction_plan, "_rewritten", _carry_all),)),
    "skips a key at the border of ranges": Mistake(
        (Patch(shardstore.client.calls.pages, "rest_of_scan", _skip_border),)
    ),
    "writes into a layer that a scan has pinned": Mistake(
        (Patch(Overlay, "writable", lambda overlay, lsn: overlay.active),), first_seed=76
    ),
    "goes on with a scan from a table that holds newer writes": Mistake(
        (
            Patch(Overlay, "table_ends", lambda overlay, lsn_last: ()),
            Patch(Pin, "replace", _replace_by_whatever_was_drained),
        ),
        first_seed=305,
    ),
    "reads a page ahead from what is there now": Mistake(
        (Patch(ScanPath, "_read_ahead", _read_ahead_what_is_there_now),), first_seed=1
    ),
    "keeps a page that it read ahead for a closed scan": Mistake((Patch(OpenScans, "close", _close_and_keep_page),)),
    "goes on with a scan that it has closed": Mistake((Patch(OpenScans, "of_cursor", _begin_anew),), first_seed=281),
    "takes any state of a range for that of the cursor": Mistake(
        (Patch(workers.serving.scan_path, "_checked_state", lambda owned, cursor: b"state"),)
    ),
    "lets writers into an isolated range": Mistake((Patch(OpenScans, "open_isolation", _isolate_nothing),)),
    "counts a lease twice": Mistake((Patch(router.budget, "lease_for", _count_leases_twice),), first_seed=8),
    "is another client where its router is now": Mistake(
        (Patch(RouterContact, "_look", _look_as_another),), needs=("kill router", "break connection"), first_seed=2_199
    ),
    "grants at once after a restart of the router": Mistake(
        (Patch(router.budget, "free_bytes", _grant_at_once),), needs=("kill router",), first_seed=853
    ),
    "scans tables while entries are in memory": Mistake((Patch(ReadableRange, "view", _view_whatever_is_in_memory),)),
    "goes on with the scan of a snapshot from other tables": Mistake(
        (Patch(Reader, "page", _page_without_view),), first_seed=18
    ),
    "has a filter that denies keys": Mistake((Patch(BloomFilter, "may_contain", _sees_no_third_key),)),
}
