"""The LOG document of a worker: which log this is, and up to where it is no longer needed (see documents.py).

field           type   meaning
store           str    identity of the store
worker          int    whose log
log_id          int    random number that every file and record of this log is bound to
lsn_checkpoint  int    records up to this LSN are in tables: files that hold no later one are ignored
lsn_durable     int    records up to this LSN were on stable storage when the document was published
segments        map    by segment, the version of its manifest that is at least there
life            int    of the log: how often it was opened, and behind that LIFE_NONCE_BITS of chance

It is published when the log is opened, before files are released, and when its worker ends in order: then it tells
of every record, so that a log that loses its end between two runs is found to be damaged.

A manifest rests on tables and log files that newer ones let go of: one that has gone back to an earlier version may
lack what is nowhere else. So before a file goes, the versions on whose strength it goes are here, durably; an earlier
version is refused. One that is newer than told here, or just as new, lacks nothing that the log does not hold.

A directory that has gone back as a whole, log files and LOG, is no contradiction in itself. So each opening begins a
life of the log. It is here, durably, before the router makes it durable in ROUTES, and there before the first write of
that life. A log whose life is no later than that in ROUTES, and is not the same, is gone or an older copy.

Version 1 of the format knew no segments and no lives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from shardstore.errors import Corruption, StorageFailure
from shardstore.files.documents import encode_document, publish, read_document
from shardstore.files.file_names import log_document
from shardstore.identifiers import LIFE_NONCE_BITS
from shardstore.seams.entropy import Entropy
from shardstore.seams.filesystem import Filesystem

MAGIC = b"shardLOG"
VERSION = 2


@dataclass(frozen=True, slots=True)
class LogDocument:
    """Identity and state of a log; see the module's table."""

    store: str
    worker: int
    log_id: int
    lsn_checkpoint: int
    lsn_durable: int = 0
    segments: Mapping[int, int] = field(default_factory=dict)
    life: int = 0


def publish_log_document(filesystem: Filesystem, document: LogDocument) -> None:
    """Make this what is known of the worker's log, atomically and durably."""
    publish(filesystem, log_document(document.worker), encode_document(MAGIC, VERSION, asdict(document)))


def read_log_document(filesystem: Filesystem, store: str, worker: int) -> LogDocument:
    """What was published last. Raises FileNotFoundError, and Corruption for damage or another store or worker."""
    path = log_document(worker)
    body = read_document(filesystem, path, MAGIC, VERSION)
    if {name: type(value) for name, value in body.items()} != _FIELDS:
        raise Corruption(path, 0, f"the fields of a log document are {', '.join(_FIELDS)}")
    document = LogDocument(**body)
    if document.store != store:
        raise Corruption(path, 0, f"log of store {document.store}, not of store {store}")
    if document.worker != worker:
        raise Corruption(path, 0, f"log of worker {document.worker}, not of worker {worker}")
    return document


def next_life(life: int, entropy: Entropy) -> int:
    """The life of a log that is opened after this one."""
    return ((life >> LIFE_NONCE_BITS) + 1 << LIFE_NONCE_BITS) + entropy.below(1 << LIFE_NONCE_BITS)


def note_durable(filesystem: Filesystem, store: str, worker: int, lsn_durable: int) -> str:
    """Publish that everything up to this LSN is on stable storage, unless that is known.

    Answers what kept it from that, empty when nothing did. The next recovery then only knows less.
    """
    try:
        document = read_log_document(filesystem, store, worker)
        if document.lsn_durable < lsn_durable:
            publish_log_document(filesystem, replace(document, lsn_durable=lsn_durable))
    except (StorageFailure, Corruption, FileNotFoundError) as failure:
        return str(failure)
    return ""


_FIELDS = {
    "store": str,
    "worker": int,
    "log_id": int,
    "lsn_checkpoint": int,
    "lsn_durable": int,
    "segments": dict,
    "life": int,
}
