"""The LOG document of a worker: which log this is, and up to where it is no longer needed (see documents.py).

field           type   meaning
store           str    identity of the store
worker          int    whose log
log_id          int    random number that every file and record of this log is bound to
lsn_checkpoint  int    records up to this LSN are in tables: files that hold no later one are ignored
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from shardstore.documents import encode_document, publish, read_document
from shardstore.errors import Corruption
from shardstore.file_names import log_document
from shardstore.filesystem import Filesystem

MAGIC = b"shardLOG"
VERSION = 1


@dataclass(frozen=True, slots=True)
class LogDocument:
    """Identity and checkpoint of a log; see the module's table."""

    store: str
    worker: int
    log_id: int
    lsn_checkpoint: int


def publish_log_document(filesystem: Filesystem, document: LogDocument) -> None:
    """Make this the identity and checkpoint of the worker's log, atomically and durably."""
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


_FIELDS = {"store": str, "worker": int, "log_id": int, "lsn_checkpoint": int}
