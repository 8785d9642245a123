"""Inspects a file of any kind, recognised by its first bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from shardstore.errors import Corruption
from shardstore.files import board_place, formats
from shardstore.seams.filesystem import Filesystem
from shardstore.workers.inspection.board_place import inspect_board_place
from shardstore.workers.inspection.documents import inspect_document
from shardstore.workers.inspection.findings import Findings
from shardstore.workers.inspection.log_file import inspect_log_file
from shardstore.workers.inspection.table import inspect_table

MAGIC_BYTES = 8
_Inspect: TypeAlias = Callable[[Filesystem, str, bytes, int], Findings]
_KINDS: dict[bytes, _Inspect] = {
    **dict.fromkeys(formats.DOCUMENTS, inspect_document),
    formats.LOG_FILE.magic: inspect_log_file,
    formats.TABLE.magic: inspect_table,
    board_place.MAGIC: inspect_board_place,
}


def inspect(filesystem: Filesystem, path: str, entries_max: int) -> Findings:
    """Inspect the file, with at most the first `entries_max` of its entries or records. Nothing is written."""
    file = filesystem.open(path)
    try:
        magic = file.read_at(0, MAGIC_BYTES)
    finally:
        file.close()
    inspect_kind = _KINDS.get(magic)
    if inspect_kind is None:
        flaw = f"{magic!r} begins no file of a store that can be inspected: ENDPOINT is plain JSON, a LOCK is empty"
        return Findings("unknown", {}, [Corruption(path, 0, flaw)])
    return inspect_kind(filesystem, path, magic, entries_max)
