"""Version 3 of what processes say to each other: every document and both layouts of a column, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardstore.client.calls.outcome_token import OutcomeToken, PartInDoubt, from_bytes
from shardstore.client.calls.resume_token import ResumePoint, from_token, to_token
from shardstore.identifiers import Expiring, Lasting
from shardstore.wire import columns
from shardstore.wire.messages import decode, encode
from tests.golden.documents import DOCUMENTS

GOLDEN = Path(__file__).parent
NAMES_NOW = {"Orders": "OrderMessage", "OutcomeAnswer": "OutcomeReply"}
"""Kinds of documents that had another name when the golden file was made. Their bytes are the same."""
DOUBT = OutcomeToken([PartInDoubt(2**64 - 1, 7, b"key"), PartInDoubt(5, 2**40, b"k", [b"l", b"m"])], 3, 1)
TOKEN = ResumePoint(b"a", b"b", True, False, 9, "fail_fast", b"a", b"c")
COLUMNS: dict[str, list[bytes | Expiring | Lasting | None]] = {
    "one": [b"key"],
    "fixed": [b"aa", b"bb", b"cc"],
    "empty": [b"", b""],
    "variable": [b"a", b"bb", b"", b"x" * 300],
    "absent": [b"a", None],
    "ending": [Expiring(1_700_000_000_000, b"a"), Lasting(2**32, b"x" * 300), None, b"b", Expiring(0, b"")],
}


@pytest.mark.parametrize("number", range(len(DOCUMENTS)))
def test_document_is_its_line_of_the_golden_file(number: int) -> None:
    line = (GOLDEN / "messages-v6.txt").read_text().splitlines()[number]
    name, _, digits = line.partition(" ")
    document = DOCUMENTS[number]
    assert (NAMES_NOW.get(name, name), digits) == (type(document).__name__, encode(document).hex())
    assert decode(type(document), bytes.fromhex(digits)) == document


def test_a_token_of_an_outcome_is_the_golden_file() -> None:
    golden = (GOLDEN / "outcome-token-v2.bin").read_bytes()
    assert DOUBT.encode() == golden
    assert from_bytes(golden) == DOUBT


def test_a_resume_token_is_the_golden_file() -> None:
    golden = (GOLDEN / "resume-token-v2.bin").read_bytes()
    assert to_token(TOKEN) == golden
    assert from_token(golden) == TOKEN


@pytest.mark.parametrize("name", COLUMNS)
def test_column_is_its_line_of_the_golden_file(name: str) -> None:
    lines = dict(line.split(" ", 1) for line in (GOLDEN / "columns-v1.txt").read_text().splitlines())
    layout, _, digits = lines[name].partition(" ")
    column = columns.encode(COLUMNS[name])
    assert ("fixed" if column.fixed else "variable", column.frame.hex()) == (layout, digits)
    frame = bytes.fromhex(digits)
    if name == "ending":
        assert columns.decode_ending(frame, len(COLUMNS[name]), 300, nullable=True)[0] == COLUMNS[name]
        return
    assert columns.decode(frame, layout == "fixed", len(COLUMNS[name]), 0, 300, nullable=True) == COLUMNS[name]
