"""While a scan reads one range, it prepares the next once, so that its layers are sorted when the scan gets there."""

from __future__ import annotations

import pytest

from shardstore.client.calls.calls import Owner, Page
from shardstore.client.calls.scan import Scan, scan_from_arguments
from shardstore.identifiers import Epoch, SegmentId, WorkerId
from shardstore.key_range import KeyRange
from shardstore.options import ScanMode
from shardstore.wire.route_map import Route

MIDDLE = KeyRange(b"h", b"p")


def scan(**asked: object) -> Scan:
    arguments = {"start": None, "end": None, "prefix": None, "reverse": False, "limit": None, "keys_only": False}
    return scan_from_arguments(**{**arguments, "mode": "snapshot", "resume": None, "timeout": 5.0, **asked})  # type: ignore[arg-type]


def take(scan: Scan, key_range: KeyRange, rest: tuple[bytes, bytes] | None, more: bool = True) -> None:
    owner = Owner(key_range, Route(key_range.start, SegmentId(7), WorkerId(0), Epoch(1)))
    scan.take(Page([b"k"], [b"v"], rest, more, b"cursor", owner))


@pytest.mark.parametrize(("reverse", "rest", "looked"), [(False, b"l", (b"p", b"")), (True, b"k", (b"", b"h"))])
def test_the_neighbour_is_looked_into_once(reverse: bool, rest: bytes, looked: tuple[bytes, bytes]) -> None:
    reader = scan(reverse=reverse)
    left = (b"", rest) if reverse else (rest, b"")
    take(reader, MIDDLE, left)
    look = reader.prepare()
    assert look is not None
    assert (look.start, look.end, look.reverse, look.keys_only, look.limit) == (*looked, reverse, True, 1)
    assert look.mode is ScanMode.LIVE, "nothing is held for it"
    take(reader, MIDDLE, left)
    assert reader.prepare() is None


@pytest.mark.parametrize(
    ("asked", "key_range", "rest"),
    [
        ({"limit": 100}, MIDDLE, (b"l", b"")),
        ({"mode": "fail_fast"}, MIDDLE, (b"l", b"")),
        ({"end": b"n"}, MIDDLE, (b"l", b"n")),
        ({"start": b"i", "reverse": True}, MIDDLE, (b"i", b"k")),
        ({}, KeyRange(b"h", b""), (b"l", b"")),
        ({"reverse": True}, KeyRange(b"", b"p"), (b"", b"k")),
    ],
    ids=["limited", "reads nothing ahead", "ends here", "ends here, in reverse", "last range", "first range"],
)
def test_no_range_is_looked_into_that_may_not_be_read(
    asked: dict[str, object], key_range: KeyRange, rest: tuple[bytes, bytes]
) -> None:
    reader = scan(**asked)
    take(reader, key_range, rest)
    assert reader.prepare() is None


def test_a_range_of_one_page_has_no_time_for_it() -> None:
    reader = scan()
    take(reader, MIDDLE, (b"p", b""), more=False)
    assert reader.prepare() is None
