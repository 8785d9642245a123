"""Names of everything in a data directory. No other module makes or takes apart a path.

LOCK                                held by the supervisor
STORE                               identity and fixed settings of the store
ENDPOINT                            where the running cluster listens
router/LOCK, router/ROUTES          the route map
workers/0003/LOCK                   held by the worker
workers/0003/JOBS.LOCK              held by its maintenance process
workers/0003/LOG                    log identity and checkpoint
workers/0003/wal-<first LSN>.log    write-ahead log, LSN as 16 hex digits
segments/0000002a/MANIFEST          tables of a segment
segments/0000002a/table-00000007.sst
segments/0000002a/table-00000007.sst.aside-1   a table that no manifest names any more; see workers/jobs/orphans.py
"""

from __future__ import annotations

import re

STORE_LOCK = "LOCK"
STORE = "STORE"
ENDPOINT = "ENDPOINT"
ROUTER = "router"
ROUTER_LOCK = "router/LOCK"
ROUTES = "router/ROUTES"
SEGMENTS = "segments"

_WAL_FILE = re.compile(r"wal-([0-9a-f]{16})\.log")
_TABLE_FILE = re.compile(r"table-([0-9a-f]{8})\.sst")
_ASIDE = re.compile(r"table-[0-9a-f]{8}\.sst\.aside-[0-9]+")
_SEGMENT = re.compile(r"[0-9a-f]{8}")


def worker_directory(worker: int) -> str:
    """Directory of a worker's log and locks."""
    return f"workers/{worker:04d}"


def worker_lock(worker: int) -> str:
    """Lock of the worker process."""
    return f"{worker_directory(worker)}/LOCK"


def jobs_lock(worker: int) -> str:
    """Lock of the worker's maintenance process."""
    return f"{worker_directory(worker)}/JOBS.LOCK"


def log_document(worker: int) -> str:
    """Log identity and checkpoint."""
    return f"{worker_directory(worker)}/LOG"


def wal_file(worker: int, first_lsn: int) -> str:
    """WAL file whose first record has this LSN."""
    return f"{worker_directory(worker)}/wal-{first_lsn:016x}.log"


def first_lsn_of(name: str) -> int | None:
    """First LSN of a WAL file by its bare name; None for any other name."""
    match = _WAL_FILE.fullmatch(name)
    return int(match[1], 16) if match else None


def segment_directory(segment: int) -> str:
    """Directory of one segment."""
    return f"{SEGMENTS}/{segment:08x}"


def segment_of(name: str) -> int | None:
    """Segment of a directory by its bare name; None for any other name."""
    return int(name, 16) if _SEGMENT.fullmatch(name) else None


def manifest(segment: int) -> str:
    """Manifest of a segment."""
    return f"{segment_directory(segment)}/MANIFEST"


def table_file(segment: int, number: int) -> str:
    """One table file of a segment."""
    return f"{segment_directory(segment)}/table-{number:08x}.sst"


def table_number_of(name: str) -> int | None:
    """Number of a table file by its bare name; None for any other name."""
    match = _TABLE_FILE.fullmatch(name)
    return int(match[1], 16) if match else None


def aside_file(segment: int, number: int, copy: int) -> str:
    """Where a table is set aside, that of its number being the `copy`th."""
    return f"{table_file(segment, number)}.aside-{copy}"


def is_aside(name: str) -> bool:
    """Whether a file with this bare name was set aside."""
    return _ASIDE.fullmatch(name) is not None
