"""Version 1 of the messages between operators and the router, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shardstore.wire.admin_messages import AdminReply, AdminRequest, Loss, PendingChange, PlannedChange, RangeRow
from shardstore.wire.messages import decode, encode

GOLDEN = Path(__file__).parent / "admin-messages-v1.txt"
DOCUMENTS: list[Any] = [
    AdminRequest("move", b"key", 3, dry_run=True),
    AdminReply(
        [PlannedChange(7, "split", [2], [5, 6], b"m", 1, "the range has 1.2 GiB")],
        [RangeRow(b"", b"m", 5, 1, 3, 1_000, 20, "active"), RangeRow(b"m", b"", 6, 0, 1, 0, 0, "changing")],
        4,
    ),
    AdminRequest("resolve", change=7, resolution="cancel"),
    AdminReply(
        pending=[PendingChange(7, "split", [2], [5, 6], "pending", ["segment 2 is fenced"], "asked for", "", [])],
        losses=[Loss(5, b"", b"m", "all", is_counted=True, entries=3, size_bytes=40), Loss(6, b"m", b"", "all")],
    ),
]


@pytest.mark.parametrize("number", range(len(DOCUMENTS)))
def test_document_is_its_line_of_the_golden_file(number: int) -> None:
    name, _, digits = GOLDEN.read_text().splitlines()[number].partition(" ")
    document = DOCUMENTS[number]
    assert (name, digits) == (type(document).__name__, encode(document).hex())
    assert decode(type(document), bytes.fromhex(digits)) == document
