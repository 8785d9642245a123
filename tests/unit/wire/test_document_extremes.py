"""Every document made by a server is valid: the largest of each kind passes the checks of its reader."""

from __future__ import annotations

from typing import Any

import pytest

from shardstore.limits import (
    BOUND_BYTES_MAX,
    FRAME_BYTES_MAX,
    KEY_BYTES_MAX,
    LOAD_CUT_RANGES_MAX,
    LOAD_CUTS_MAX,
    LOAD_KEYS_MAX,
    LOAD_RANGES_MAX,
    MIB,
    RANGES_MAX,
    REFUSAL_CHARACTERS_MAX,
    SECOND_NS,
    WORKERS_MAX,
)
from shardstore.options import ScanMode
from shardstore.wire.admin_messages import AdminReply, PlannedChange, RangeRow
from shardstore.wire.load_report import LoadReport
from shardstore.wire.messages import (
    Assignment,
    Assignments,
    Heartbeat,
    Lease,
    LeaseReport,
    OutcomeQuestion,
    Ready,
    Refusal,
    Register,
    Routes,
    ScanRequest,
    TakeRequest,
    Welcome,
    decode,
    encode,
)
from shardstore.wire.route_map import Route, RouteMap
from shardstore.wire.topology import Change, Order, OrderMessage, Relative, Retire
from shardstore.wire.wire_format import WRITES, Op
from shardstore.workers.load.meter import LoadMeter
from shardstore.workers.load.range_size import RangeSize
from tests.unit.client.session_driver import NoJitter

U64 = 2**64 - 1
U32 = 2**32 - 1
LONGEST = b"\xff" * KEY_BYTES_MAX
BEHIND = LONGEST + b"\0"
ENDPOINT = "unix://" + "p" * 107
SEGMENTS = dict.fromkeys(range(U32 - RANGES_MAX, U32), U32)

MAP = RouteMap(
    U64,
    tuple(
        Route(at.to_bytes(4, "big") if at else b"", U32 - at, at % WORKERS_MAX, U32, True) for at in range(RANGES_MAX)
    ),  # type: ignore[arg-type]
)
ROUTES = Routes(MAP.to_document(), dict.fromkeys(range(WORKERS_MAX), ENDPOINT))  # type: ignore[arg-type]
RELATIVE = Relative(U64, LONGEST[:-1], LONGEST, WORKERS_MAX - 1, U64)
CHANGE = Change(U64, "split", (RELATIVE,), (RELATIVE,) * (LOAD_CUTS_MAX + 2))
"""A range is cut into parts, and the rest after its last key."""
WORDS = "\N{EURO SIGN}" * REFUSAL_CHARACTERS_MAX
LARGEST: list[Any] = [
    Refusal(WORDS, U64, U64, "f" * 4_096, U64, encode(ROUTES)),
    TakeRequest(BEHIND, BEHIND, True),
    ScanRequest(BEHIND, BEHIND, True, True, U64, ScanMode.FULL_ISOLATION.value, bytes(24)),
    OutcomeQuestion(U64, U64, [LONGEST[:-1] + b"a", LONGEST, LONGEST, BEHIND]),
    Welcome(U64, "s" * 32, encode(ROUTES), "/" + "d" * 4_095),
    ROUTES,
    Register(WORKERS_MAX - 1, ENDPOINT, SEGMENTS, SEGMENTS),
    Assignments(
        [Assignment(segment, b"%d" % segment, b"%d" % U64, U64, False) for segment in SEGMENTS],
        encode(ROUTES),
        U64,
        U64,
    ),
    Ready(SEGMENTS),
    Heartbeat(WORKERS_MAX - 1, 255, U64, LeaseReport(U64, U64, U64, U64), U64, WORDS),
    Lease(U64, U64),
    OrderMessage(Order(CHANGE, {U64: U64}, {U64: None}, True, WORDS), encode(ROUTES)),
    Retire(U64, [U64, U64], encode(ROUTES)),
    AdminReply(
        [PlannedChange(U64, "split", [U64], [U64, U64], LONGEST, 255, "r" * 1_024)],
        [RangeRow(b"%d" % at, b"%d" % at, U64, 255, U64, U64, U64, "pending") for at in range(RANGES_MAX)],
    ),
]


@pytest.mark.parametrize("document", LARGEST, ids=lambda document: type(document).__name__)
def test_the_largest_of_each_document_is_read_by_the_other_side(document: Any) -> None:
    frame = encode(document)
    assert len(frame) <= FRAME_BYTES_MAX
    assert decode(type(document), frame) == document


@pytest.mark.parametrize("op", [Op.SCAN, Op.GET, Op.PUT, Op.DELETE])
def test_a_load_report_of_the_longest_keys_and_the_most_ranges(op: Op) -> None:
    """A page of a scan may begin right after the longest key."""
    meter = LoadMeter(WORKERS_MAX - 1, NoJitter(), lambda segment, parts: [LONGEST] * (parts - 1))
    sizes = {segment: RangeSize(32 * MIB, 32 * MIB, U64, U64, LONGEST) for segment in range(LOAD_RANGES_MAX + 1)}
    meter.report(sizes, 0)
    keys = [BEHIND] if op == Op.SCAN else [LONGEST] * 9
    for segment in sizes:
        for _ in range(LOAD_KEYS_MAX):
            meter.note(segment, op, keys, 65_536, 2**40)
    report = meter.report(sizes, SECOND_NS)
    frame = encode(report)
    assert len(frame) <= FRAME_BYTES_MAX
    assert decode(LoadReport, frame) == report
    assert sum(len(of_range.cuts) == LOAD_CUTS_MAX for of_range in report.ranges) == LOAD_CUT_RANGES_MAX
    sampled = {key for of_range in report.ranges for key in of_range.keys}
    assert sampled == {LONGEST}
    assert len(BEHIND) == BOUND_BYTES_MAX
    assert (op in WRITES) == (op in (Op.PUT, Op.DELETE))
