"""The LOG document of a worker: which log this is, and up to where it is no longer needed (see documents.py).

field           type   meaning
store           str    identity of the store
worker          int    number of the worker that owns the log
log_id          int    random number that every file and record of this log is bound to
lsn_checkpoint  int    records up to this LSN are in tables: files without later records are ignored
lsn_durable     int    records up to this LSN were on stable storage when the document was published
segments        map    by segment, the lowest version that its manifest may have
clock_ms        int    moment in milliseconds since the epoch that the worker's clock may have reached (hybrid_clock.py)
life            int    number of times the log was opened, followed by LIFE_NONCE_BITS random bits

LOG is published when the log is opened, before files are released, and when its worker stops cleanly. The last one
covers every record, so a log that loses its end between two runs is found to be damaged.

Manifests. A manifest that has gone back to an earlier version may lack data: the tables and log files that held it may
have been removed since. So before a file is removed, LOG durably names the versions of the manifests that made the file
unnecessary, and an earlier version is refused. What a manifest of that version or a newer one lacks is in the log.

Lives. An older copy of the whole directory, log files and LOG, does not contradict itself. So each opening begins a new
life of the log. The life becomes durable in LOG, then in ROUTES (by the router), and only then is the first write of
that life accepted. If the life in LOG is neither the one in ROUTES nor a later one, the newest log was removed, or this
is an older copy.

Version 1 of the format had no segments and no lives. Version 2, which is read too, had no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from shardstore.errors import Corruption, StorageFailure
from shardstore.files.documents import encode_document, publish, read_document
from shardstore.files.file_names import log_document
from shardstore.files.formats import LOG_DOCUMENT
from shardstore.identifiers import LIFE_NONCE_BITS
from shardstore.seams.entropy import Entropy
from shardstore.seams.filesystem import Filesystem


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
    clock_ms: int = 0


def publish_log_document(filesystem: Filesystem, document: LogDocument) -> None:
    """Publish the document of the worker's log, atomically and durably."""
    publish(filesystem, log_document(document.worker), encode_document(LOG_DOCUMENT, asdict(document)))


def read_log_document(filesystem: Filesystem, store: str, worker: int) -> LogDocument:
    """The document that was published last.

    Raises FileNotFoundError, and Corruption if it is damaged or belongs to another store or worker.
    """
    path = log_document(worker)
    version, body = read_document(filesystem, path, LOG_DOCUMENT)
    if version < LOG_DOCUMENT.version:
        body = {"clock_ms": 0} | body
    if {name: type(value) for name, value in body.items()} != _FIELDS:
        raise Corruption(path, 0, f"the fields of a log document are {', '.join(_FIELDS)}")
    document = LogDocument(**body)
    if document.store != store:
        raise Corruption(path, 0, f"log of store {document.store}, not of store {store}")
    if document.worker != worker:
        raise Corruption(path, 0, f"log of worker {document.worker}, not of worker {worker}")
    return document


def next_life(life: int, entropy: Entropy) -> int:
    """A life that is later than this one, for a log that is opened again."""
    return ((life >> LIFE_NONCE_BITS) + 1 << LIFE_NONCE_BITS) + entropy.below(1 << LIFE_NONCE_BITS)


def note_durable(filesystem: Filesystem, store: str, worker: int, lsn_durable: int) -> str:
    """Publish that everything up to this LSN is on stable storage, unless LOG says so already.

    Returns what prevented it, empty if nothing did. A failure only means that the next recovery knows less.
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
    "clock_ms": int,
}
