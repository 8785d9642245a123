"""Sections with their entries, of each kind of keys and values."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from io import BytesIO
from uuid import UUID

from shardstore import keys, values
from shardstore.exchange.content import ExportEntries, ExportPiece, ExportSection, Placed
from shardstore.identifiers import Expiring

MOMENT = 1_798_761_600_123
EVERY_ELEMENT = (
    *(None, b"\0\xff", "ü\0", -(10**40), 2.5, math.inf, True, UUID(int=7), date(2026, 1, 31)),
    *(datetime(2026, 1, 31, 12, tzinfo=UTC), ("nested", (1,)), math.nan),
)

_OUTSIDE = ExportEntries([b"\0\xff", b"plain", "ü".encode()], [b"", b"text", Expiring(MOMENT, b"\xff")])


def pieces() -> list[ExportPiece]:
    """The pieces of an export, but for its end."""
    anything, visits = keys.AnyTuple(), keys.Tuple(str, int)
    as_json = values.Values(values.Json())
    return [
        ExportSection(),
        _OUTSIDE,
        ExportSection("any", anything.description, "MsgPack/1"),
        ExportEntries(
            [anything.encode(EVERY_ELEMENT), anything.encode(("x",))],
            values.Values(values.MsgPack()).encode_many([{b"bytes": 1}, [1, 2]]),
        ),
        ExportSection("visits", visits.description, "Json/1", together=True, ttl_ms=500),
        ExportEntries(
            visits.encode_many([("ada", 1), ("ada", 2)]),
            [Expiring(MOMENT, as_json.encode({"pages": [1, None]})), b"\xffno json"],
        ),
        ExportEntries([b"\xff no key of the type"], [b'"text"']),
        ExportSection("own", "Str()", "Mine/3"),
        ExportEntries([b"key"], [b"value"]),
        ExportSection("empty", "Int()", "Pickle/1"),
    ]


def read_pieces(read: object, data: bytes) -> list[Placed]:
    """Read a file whole."""
    return list(read(BytesIO(data), "file"))  # type: ignore[operator]


def plain(piece: ExportPiece) -> object:
    """A piece that can be compared, however its columns are made."""
    if isinstance(piece, ExportEntries):
        return list(piece.keys), list(piece.values)
    return piece
