"""Names of everything in a data directory. No other module builds or parses these paths.

LOCK                                held by the supervisor
STORE                               identity and fixed settings of the store
ENDPOINT                            where the running cluster listens
KEYS, KEYS.LOCK                     clients that are let in over tcp; see access/key_list.py
SERVER.KEY                          key pair of the server; see access/key_files.py
router/LOCK, router/ROUTES          the route map
workers/0003/LOCK                   held by the worker
workers/0003/JOBS.LOCK              held by its maintenance process
workers/0003/BOARD                  where the worker's board is
workers/0003/LOG                    log identity and checkpoint
workers/0003/wal-<first LSN>.log    write-ahead log, LSN as 16 hex digits
segments/0000002a/MANIFEST          tables of a segment
segments/0000002a/table-00000007.sst
segments/0000002a/table-00000007.sst.aside-1   table that no manifest names; see workers/jobs/orphans.py
segments/0000002a.aside-1           segment that an operator gave up; see set_aside.py
lost+found/0001/MOVED.json          which files a repair moved here, and why
lost+found/0001/<path>              such a file
"""

from __future__ import annotations

import re

STORE_LOCK = "LOCK"
STORE = "STORE"
ENDPOINT = "ENDPOINT"
KEYS = "KEYS"
KEYS_LOCK = "KEYS.LOCK"
SERVER_KEY = "SERVER.KEY"
ROUTER_DIRECTORY = "router"
ROUTER_LOCK = "router/LOCK"
ROUTES = "router/ROUTES"
WORKERS = "workers"
SEGMENTS = "segments"
LOST_AND_FOUND = "lost+found"

_WAL_FILE = re.compile(r"wal-([0-9a-f]{16})\.log")
_TABLE_FILE = re.compile(r"table-([0-9a-f]{8})\.sst")
_ASIDE = re.compile(r"table-[0-9a-f]{8}\.sst\.aside-[0-9]+")
_SEGMENT_ASIDE = re.compile(r"[0-9a-f]{8}\.aside-[0-9]+")
_WORKER = re.compile(r"[0-9]{4,}")
_SEGMENT = re.compile(r"[0-9a-f]{8}")


def worker_directory(worker: int) -> str:
    """Return the directory of a worker's log and locks."""
    return f"{WORKERS}/{worker:04d}"


def worker_of(name: str) -> int | None:
    """Return the worker of a directory, given its bare name; None for any other name."""
    return int(name) if _WORKER.fullmatch(name) else None


def worker_lock(worker: int) -> str:
    """Return the path of the worker's lock file."""
    return f"{worker_directory(worker)}/LOCK"


def jobs_lock(worker: int) -> str:
    """Return the path of the lock file of the worker's maintenance process."""
    return f"{worker_directory(worker)}/JOBS.LOCK"


def board_place(worker: int) -> str:
    """Return the path of the file that names the worker's board."""
    return f"{worker_directory(worker)}/BOARD"


def log_document(worker: int) -> str:
    """Return the path of the file with the log's identity and checkpoint."""
    return f"{worker_directory(worker)}/LOG"


def wal_file(worker: int, first_lsn: int) -> str:
    """Return the path of the WAL file whose first record has this LSN."""
    return f"{worker_directory(worker)}/wal-{first_lsn:016x}.log"


def first_lsn_of(name: str) -> int | None:
    """Return the first LSN of a WAL file, given its bare name; None for any other name."""
    match = _WAL_FILE.fullmatch(name)
    return int(match[1], 16) if match else None


def segment_directory(segment: int) -> str:
    """Return the directory of a segment."""
    return f"{SEGMENTS}/{segment:08x}"


def segment_of(name: str) -> int | None:
    """Return the segment of a directory, given its bare name; None for any other name."""
    return int(name, 16) if _SEGMENT.fullmatch(name) else None


def segment_aside(segment: int, copy: int) -> str:
    """Return the path to which a segment is set aside. `copy` counts those set aside under the same number."""
    return f"{segment_directory(segment)}.aside-{copy}"


def is_segment_aside(name: str) -> bool:
    """Whether this is the bare name of a segment that was set aside."""
    return _SEGMENT_ASIDE.fullmatch(name) is not None


def manifest(segment: int) -> str:
    """Return the path of a segment's manifest."""
    return f"{segment_directory(segment)}/MANIFEST"


def table_file(segment: int, number: int) -> str:
    """Return the path of a table file of a segment."""
    return f"{segment_directory(segment)}/table-{number:08x}.sst"


def table_number_of(name: str) -> int | None:
    """Return the number of a table file, given its bare name; None for any other name."""
    match = _TABLE_FILE.fullmatch(name)
    return int(match[1], 16) if match else None


def aside_file(segment: int, number: int, copy: int) -> str:
    """Return the path to which a table is set aside. `copy` counts the files set aside under the same number."""
    return f"{table_file(segment, number)}.aside-{copy}"


def is_aside(name: str) -> bool:
    """Whether this is the bare name of a table that was set aside."""
    return _ASIDE.fullmatch(name) is not None


def lost_directory(repair: int) -> str:
    """Return the directory for the files that one repair moves aside."""
    return f"{LOST_AND_FOUND}/{repair:04d}"


def moved_list(repair: int) -> str:
    """Return the path of the list of these files."""
    return f"{lost_directory(repair)}/MOVED.json"
