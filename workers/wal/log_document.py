"""The LOG document of a worker: which log this is, and up to where it is no longer needed (see documents.py).

field           type   meaning
store           str    identity of the store
worker          int    whose log
log_id          int    random number that every file and record of this log is bound to
lsn_checkpoint  int    records up to this LSN are in tables: files that hold no later one are ignored
lsn_durable     int    records up to this LSN were on stable storage when the document was published

It is published when the log begins, when its checkpoint advances, and when its worker ends in order: then it tells
of every record, so that a log that loses its end between two runs is found to be damaged.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from shardstore.documents import encode_document, publish, read_document
from shardstore.errors import Corruption
from shardstore.file_names import log_document
from shardstore.filesystem import Filesystem

MAGIC = b"shardLOG"
VERSION = 1


@dataclass(frozen=True, slots=True)
class LogDocument:
    """Identity and state of a log; see the module's table."""

    store: str
    worker: int
    log_id: int
    lsn_checkpoint: int
    lsn_durable: int = 0


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


def note_durable(filesystem: Filesystem, store: str, worker: int, lsn_durable: int) -> None:
    """Publish that everything up to this LSN is on stable storage, unless that is known."""
    document = read_log_document(filesystem, store, worker)
    if document.lsn_durable < lsn_durable:
        publish_log_document(filesystem, replace(document, lsn_durable=lsn_durable))


_FIELDS = {"store": str, "worker": int, "log_id": int, "lsn_checkpoint": int, "lsn_durable": int}
