"""What `stats()` returns, as types: a plain dict of plain values at run time.

Each field is `Annotated` with its unit and with what it says. docs/stats.md is made of this by scripts/stats_page.py.
What counts up begins at 0 when the process starts. A field of a `total=False` class may be missing.
"""

from typing import Annotated, TypeAlias, TypedDict, final

BYTES = "bytes"
COUNT = "count"
KEYS = "keys"
LAYERS = "layers"
ENTRIES = "entries"
NANOSECONDS = "nanoseconds"
MILLISECONDS = "milliseconds"
RATIO = "ratio"
NUMBER = "number"
"""It names something, and measures nothing."""
TEXT = "text"
KEY = "key"
FLAG = "flag"
NESTED = ""


class StallEvent(TypedDict):
    """The start or the end of a stall: a time in which requests were refused or delayed for want of room."""

    event: Annotated[str, TEXT, '"start" or "end".']
    cause: Annotated[str, TEXT, "What there was no room in."]
    ago_ms: Annotated[int, MILLISECONDS, "How long ago it was."]
    refused: Annotated[int, COUNT, "Requests that were refused or delayed in this stall so far."]


class StallStats(TypedDict):
    """Stalls of a process."""

    now: Annotated[int, COUNT, "Stalls that have not ended."]
    events: Annotated[list[StallEvent], NESTED, "At most the newest 64 events, the oldest first."]


class ChangeStats(TypedDict):
    """One topology change that is under way."""

    kind: Annotated[str, TEXT, '"split", "merge" or "move".']
    parents: Annotated[list[int], NUMBER, "The segments before the change."]
    children: Annotated[list[int], NUMBER, "The segments after the change."]
    stage: Annotated[str, TEXT, '"pending", "fenced", "adopted", "drained" or "materialised", in this order.']
    reason: Annotated[str, TEXT, "Why it is made; empty if an earlier router process began it."]
    age_ns: Annotated[int | None, NANOSECONDS, "How long it has run; None if an earlier router process began it."]


class ChangesStats(TypedDict):
    """Topology changes of the store."""

    done: Annotated[int, COUNT, "Changes that were completed."]
    under_way: Annotated[list[ChangeStats], NESTED, "Changes that are not complete."]


class AccountStats(TypedDict):
    """One worker's share of the memory budget, as it reported."""

    granted: Annotated[int | None, BYTES, "Its lease; None until the worker has reported to this router process."]
    used: Annotated[int, BYTES, "What it buffers."]
    draining: Annotated[int, BYTES, "What its next drains will free."]
    wanted: Annotated[int, BYTES, "The lease that it would like to have."]


class BudgetStats(TypedDict):
    """The memory budget for writes that are not in table files yet."""

    bytes: Annotated[int, BYTES, "The budget of the store: all leases together are at most this."]
    granted: Annotated[int, BYTES, "All leases together."]
    used: Annotated[int, BYTES, "What all workers buffer."]
    free: Annotated[int, BYTES, "What may still be granted; 0 while a worker has not reported."]
    unheard: Annotated[int, COUNT, "Workers that have not reported to this router process."]
    workers: Annotated[dict[int, AccountStats], NESTED, "By worker."]


class MemberStats(TypedDict):
    """What the router knows of one worker."""

    state: Annotated[str, TEXT, '"up", "joining" (it opens its ranges) or "down".']
    failure: Annotated[str, TEXT, "Why it takes no writes, or serves nothing; else empty."]
    heard_ago_ns: Annotated[int, NANOSECONDS, "How long ago its latest message came."]
    processes: Annotated[int, COUNT, "How many of its processes have registered with this router, one after the other."]
    leaving: Annotated[bool, FLAG, "Whether `admin.drain_worker` was asked for."]
    pressure: Annotated[int, "0 to 255", "How full its lease is."]
    bytes_in_flight: Annotated[int, BYTES, "Requests that the router passed to it and that are not answered."]


class OwnReadsStats(TypedDict):
    """How the client that asks for statistics has read keys."""

    from_files: Annotated[int, KEYS, "Keys that it read from files itself, also those of first pages of scans."]
    from_workers: Annotated[int, KEYS, "Keys that it could not read itself; a first page of a scan counts once."]
    asked_for_any_key: Annotated[
        int, KEYS, "Of these, keys for which a worker was asked since any key of their range could be in its memory."
    ]


@final
class RouterStats(TypedDict):
    """The router: `stats()["router"]`."""

    store: Annotated[str, TEXT, "What identifies the store. A copy of its directory has another one."]
    requests: Annotated[dict[str, int], COUNT, "Requests of clients and workers, by operation in small letters."]
    requests_in_flight: Annotated[int, COUNT, "Requests that were passed to workers and are not answered."]
    bytes_in_flight: Annotated[int, BYTES, "The size of these requests, and 1 KiB for each."]
    messages_malformed: Annotated[int, COUNT, "Messages that break the protocol."]
    requests_denied: Annotated[int, COUNT, "Requests that the role of a client's key does not allow."]
    replies_unmatched: Annotated[int, COUNT, "Replies of workers that no client waits for any more."]
    clients: Annotated[int, COUNT, "Clients that are known."]
    map_version: Annotated[
        int, NUMBER, "The version of the route map; each change of ranges or owners makes a new one."
    ]
    ranges: Annotated[int, COUNT, "Ranges of the store."]
    changes: Annotated[ChangesStats, NESTED, "Splits, merges and moves."]
    unsplittable: Annotated[list[str], TEXT, "At most the newest 16 reasons why a busy range is not split."]
    budget: Annotated[BudgetStats, NESTED, "Memory for writes, and who has it."]
    stalls: Annotated[StallStats, NESTED, "Requests that the router refused."]
    workers: Annotated[dict[int, MemberStats], NESTED, "By worker, also those that are down."]
    own_reads: Annotated[OwnReadsStats, NESTED, "How this client has read keys. It adds this to what the router says."]


class JobStats(TypedDict):
    """Jobs of one kind: drains write memory into tables, compactions merge tables."""

    finished: Annotated[int, COUNT, "Jobs that ended well."]
    failed: Annotated[int, COUNT, "Jobs that failed; they are tried again."]
    duration_ns: Annotated[int, NANOSECONDS, "Time that all of them took, the failed ones too."]
    read_bytes: Annotated[int, BYTES, "Drains: keys and values of log records. Compactions: files read."]
    written_bytes: Annotated[int, BYTES, "Files written."]
    carried_bytes: Annotated[int, BYTES, "Files that a job looked at and kept as they were."]
    entries_in: Annotated[int, ENTRIES, "Entries read, with tombstones and each version of a key."]
    entries_out: Annotated[int, ENTRIES, "Entries written."]


class WorkStats(TypedDict):
    """What jobs and lookups cost, and what the files take."""

    drains: Annotated[JobStats, NESTED, "Drains."]
    compactions: Annotated[JobStats, NESTED, "Compactions."]
    file_bytes: Annotated[int, BYTES, "Table files. Of a file that two ranges share, each counts its own part."]
    write_amplification: Annotated[
        float | None, RATIO, "Bytes written by jobs per byte drained; None if nothing was drained."
    ]
    read_amplification: Annotated[
        float | None,
        RATIO,
        "Layers of files asked per key looked up in them, since the latest job; None if none was looked up.",
    ]
    space_amplification: Annotated[
        float | None, RATIO, "Bytes in files per byte that a full compaction would leave, roughly; None without files."
    ]


class LookupStats(TypedDict):
    """Lookups in tables, and what Bloom filters did. A key that is looked up in three tables counts three times."""

    keys: Annotated[int, KEYS, "Keys looked up in a table."]
    found: Annotated[int, KEYS, "Of these, keys that the table held."]
    filtered: Annotated[int, KEYS, "Keys that a filter was asked for, as most were absent."]
    passed: Annotated[int, KEYS, "Of these, keys that the filter let pass."]
    passed_falsely: Annotated[int, KEYS, "Of these, keys that the table did not hold."]


class OverlayLayerStats(TypedDict):
    """How much the layers of a range hold."""

    active_entries: Annotated[int, ENTRIES, "Entries of the active layer, which takes writes."]
    active_bytes: Annotated[int, BYTES, "Memory of the active layer."]
    run_entries: Annotated[int, ENTRIES, "Entries of runs, which wait to be drained."]
    run_bytes: Annotated[int, BYTES, "Memory of runs."]
    table_entries: Annotated[int, ENTRIES, "Entries in table files, with tombstones and hidden versions."]


class FileLayerStats(TypedDict, total=False):
    """Layers of a range that are in files."""

    version: Annotated[int, NUMBER, "The version of its manifest; each job that changes files makes a new one."]
    deltas: Annotated[int, COUNT, "Tables that one drain wrote, and no compaction has merged yet."]
    delta_bytes: Annotated[int, BYTES, "Their files."]
    parts: Annotated[int, COUNT, "Tables of the main."]
    main_bytes: Annotated[int, BYTES, "Their files."]
    bottoms: Annotated[int, COUNT, "Bottom mains: older mains that are too large to be rewritten often."]
    bottom_parts: Annotated[int, COUNT, "Tables of the bottom mains."]
    bottom_bytes: Annotated[int, BYTES, "Their files."]
    linked_bytes: Annotated[int, BYTES, "Of all these files, what was written under another name."]
    outside_bytes: Annotated[int, BYTES, "What its files hold of keys outside of the range; it is not counted above."]
    tombstones: Annotated[int, ENTRIES, "Deleted keys that files still name."]
    expiring: Annotated[int, ENTRIES, "Entries in files that expire, with those that have expired."]
    keys_asked: Annotated[int, KEYS, "Keys looked up in files, since the latest job."]
    layers_asked: Annotated[int, LAYERS, "Layers of files that were asked for them, summed over the keys."]
    entries_passed: Annotated[
        int, ENTRIES, "Entries that the worker looked at to skip deleted keys, also in memory, since the latest job."
    ]
    lookups: Annotated[LookupStats, NESTED, "Lookups in its tables."]


class LayerStats(OverlayLayerStats, FileLayerStats):
    """Layers of a range, in memory and in files.

    What may be missing is missing while the range has no files of its own: for a short time after a change of ranges,
    and when its files could not be opened.
    """


class OwnedRangeStats(TypedDict):
    """What a range is, and what it holds."""

    segment: Annotated[int, NUMBER, "The segment of the range."]
    start: Annotated[bytes, KEY, "Its first key; empty: no bound."]
    end: Annotated[bytes, KEY, "The first key behind it; empty: no bound."]
    epoch: Annotated[int, NUMBER, "It grows each time a worker is given the range."]
    state: Annotated[str, TEXT, '"READY", "FREEZE", "MAINTENANCE_RUNNING", "ERROR" or "CLOSED".']
    overlay_entries: Annotated[int, ENTRIES, "Entries in memory that are in no table yet."]
    overlay_bytes: Annotated[int, BYTES, "Memory of these entries."]
    runs: Annotated[int, COUNT, "Sealed layers that wait to be drained."]
    cleared_ranges: Annotated[int, COUNT, "Ranges of keys whose deletion is in no table yet."]
    reads_in_memory: Annotated[
        int, COUNT, "Requests of clients that would have read its files themselves, but for what may be in memory."
    ]
    read_directly: Annotated[bool, FLAG, "Whether clients on this host may read its files themselves."]
    tables: Annotated[int, COUNT, "Table files."]
    layers: Annotated[LayerStats, NESTED, "Its layers."]
    failure: Annotated[str, TEXT, "Why it is not served, not in full, or not maintained; else empty."]
    last_failure: Annotated[str, TEXT, "Why its latest job failed; empty if it ended well."]


class RangeStats(OwnedRangeStats, WorkStats):
    """One range of a worker."""


class TailCutStats(TypedDict):
    """The torn end of a log, as a crash leaves it."""

    file: Annotated[str, TEXT, "The file of the log."]
    offset: Annotated[int, BYTES, "Where the file was cut."]
    bytes: Annotated[int, BYTES, "What was cut off there and in later files."]


class WalStats(TypedDict):
    """The write-ahead log of a worker."""

    lsn_appended: Annotated[int, NUMBER, "The LSN of the newest record."]
    lsn_durable: Annotated[int, NUMBER, "The LSN up to which records are on stable storage."]
    lsn_checkpoint: Annotated[int, NUMBER, "The LSN up to which no record is needed any more."]
    retained_bytes: Annotated[int, BYTES, "Log files that are kept."]
    tail_cut_at_open: Annotated[TailCutStats | None, NESTED, "What was cut off when the worker started; None: nothing."]


class MaintenanceStats(TypedDict):
    """Jobs of a worker, of all kinds and ranges."""

    finished: Annotated[int, COUNT, "Jobs that ended well."]
    running: Annotated[int, COUNT, "Jobs that run."]
    last_failure: Annotated[str, TEXT, "Why the latest job failed; empty if it ended well."]
    last_compaction: Annotated[str, TEXT, "The latest compaction that was begun, and why; empty before the first."]
    sealed_for_readers: Annotated[
        int,
        COUNT,
        "How often a layer was drained early, as clients that read files themselves asked for its content.",
    ]


class CacheStats(TypedDict):
    """What a worker keeps of table files in memory."""

    block_bytes: Annotated[int, BYTES, "Expanded blocks of compressed tables."]
    block_bytes_limit: Annotated[int, BYTES, "What these may take."]
    block_hits: Annotated[int, COUNT, "Lookups in blocks that were there."]
    block_misses: Annotated[int, COUNT, "Lookups in blocks that had to be expanded."]
    readers_bytes: Annotated[int, BYTES, "Indexes and filters of tables."]
    readers_bytes_limit: Annotated[int, BYTES, "What these may take; those of one table are always kept."]
    readers_loads: Annotated[int, COUNT, "How often those of a table were loaded."]
    readers_evictions: Annotated[int, COUNT, "How often those of a table were dropped."]


class UsedStats(TypedDict):
    """Memory for one purpose, which is bounded by the lease."""

    used: Annotated[int, BYTES, "What it takes."]


class BoundedStats(UsedStats):
    """Memory for one purpose, with a bound of its own."""

    allowed: Annotated[int, BYTES, "What it may take."]


class LeaseStats(BoundedStats):
    """The lease of a worker: its share of the memory budget."""

    wanted: Annotated[int, BYTES, "The lease that it asks for."]


class MemoryStats(TypedDict):
    """Where the memory of a worker is."""

    lease: Annotated[LeaseStats, NESTED, "Writes that are in no table yet: the sum of the next two."]
    overlays: Annotated[UsedStats, NESTED, "Entries in overlays."]
    logged: Annotated[UsedStats, NESTED, "Writes in the log that are not applied yet."]
    segments: Annotated[BoundedStats, NESTED, "What is kept of table files; see `cache`."]
    windows: Annotated[BoundedStats, NESTED, "What is remembered of requests, so that none is done twice."]
    unread_replies: Annotated[BoundedStats, NESTED, "Replies that clients have not taken."]
    scans: Annotated[BoundedStats, NESTED, "Former layers that only open scans need, and pages read ahead."]
    drain_bytes_per_second: Annotated[int, "bytes per second", "How fast drains free memory; 0 before the first."]


class ScanStats(TypedDict):
    """Scans that a worker holds open."""

    open: Annotated[int, COUNT, "Open scans."]
    closed_early: Annotated[int, COUNT, "Scans that the worker closed before their end."]
    memory_bytes: Annotated[int, BYTES, "Former layers that only open scans need."]
    file_bytes: Annotated[int, BYTES, "Table files that only open scans need."]


@final
class WorkerStats(TypedDict):
    """A worker: `stats()[0]`, `stats()[1]`, ..."""

    worker: Annotated[int, NUMBER, "Its number."]
    ranges: Annotated[list[RangeStats], NESTED, "Its ranges, 2,048 at most; those with a failure first if it has more."]
    ranges_omitted: Annotated[int, COUNT, "Ranges that are not in this list."]
    sum: Annotated[WorkStats, NESTED, "Over all its ranges."]
    buffered_bytes: Annotated[int, BYTES, "Memory of all overlays."]
    buffered_bytes_limit: Annotated[int, BYTES, "The bound of overlays and writes that are not applied: its lease."]
    wal: Annotated[WalStats, NESTED, "Its log."]
    jobs: Annotated[MaintenanceStats, NESTED, "Its jobs."]
    old_files: Annotated[
        dict[str, int],
        COUNT,
        'Files in a former format, by kind: "table file", "manifest" and "log file". They are read as all others. '
        "`compact` rewrites tables and manifests; log files go with their records.",
    ]
    requests: Annotated[dict[str, int], COUNT, "Requests by operation, in capital letters."]
    keys: Annotated[dict[str, int], KEYS, "Keys in these requests, by operation."]
    counts: Annotated[
        dict[str, int],
        COUNT,
        'What went wrong, by kind: "invalid requests", "refused busy", "failed requests", "scans invalidated", '
        '"malformed messages", "turned away" (not for this worker) and "replies nobody took".',
    ]
    cache: Annotated[CacheStats, NESTED, "What it keeps of table files."]
    memory: Annotated[MemoryStats, NESTED, "Where its memory is."]
    stalls: Annotated[StallStats, NESTED, "Requests that the worker refused."]
    scans: Annotated[ScanStats, NESTED, "Scans that it holds open."]


@final
class NoStats(TypedDict):
    """What stands in the place of a process that did not answer."""

    unavailable: Annotated[str, TEXT, "Why."]


Stats: TypeAlias = dict[str | int, RouterStats | WorkerStats | NoStats]
"""The router under "router", and each worker under its number."""
