"""Inspects BOARD: which board of a worker is the current one."""

from __future__ import annotations

from shardstore.errors import Corruption
from shardstore.files.board_place import PLACE_BYTES, incarnation_in, path_in
from shardstore.seams.filesystem import Filesystem
from shardstore.workers.inspection.findings import Findings


def inspect_board_place(filesystem: Filesystem, path: str, magic: bytes, entries_max: int) -> Findings:
    """Findings with the incarnation and the path of the board. The board itself is shared memory."""
    file = filesystem.open(path)
    try:
        content = file.read_at(0, PLACE_BYTES)
    finally:
        file.close()
    findings = Findings("place of a board", {"incarnation": incarnation_in(content), "board": path_in(content)})
    if len(content) < PLACE_BYTES:
        findings.damage.append(Corruption(path, len(content), f"ends here; such a file has {PLACE_BYTES} bytes"))
    return findings
