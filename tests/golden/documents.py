"""One document of every kind that processes send each other, in the order of the lines of messages-v6.txt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shardstore.wire.load_report import LoadReport, RangeReport
from shardstore.wire.messages import (
    Assignment,
    Assignments,
    CountReply,
    CountRequest,
    Heartbeat,
    Hello,
    Lease,
    LeaseReport,
    OutcomeQuestion,
    OutcomeReply,
    Ready,
    Refusal,
    Register,
    Routes,
    ScanRequest,
    Statistics,
    TakeRequest,
    Welcome,
)
from shardstore.wire.route_map import presplit
from shardstore.wire.topology import Change, Order, OrderMessage, Progress, Relative, Retire

CHANGE = Change(3, "split", (Relative(2, b"a", b"m", 0, 3),), (Relative(7, b"a", b"k", 0), Relative(8, b"k", b"m", 1)))
ORDER = Order(CHANGE, {7: 1, 8: 2}, {2: {"forgot": False, "clients": []}}, drained=True, full_disk="disk full")
RESOLVED = Change(4, "move", (Relative(2, b"a", b"m", 0, 3),), (Relative(9, b"a", b"m", 0),), "cancel", 3, (2,))
DISCARDING = replace(RESOLVED, discarded=CHANGE.children)
DOCUMENTS: list[Any] = [
    Refusal("buffers of the range are full", 11, 10),
    Refusal("checksum", file="segments/00000001/MANIFEST", offset=16, routes=b"\x80"),
    ScanRequest(b"a", b"b", reverse=True, keys_only=True, limit=9, mode="snapshot", cursor=b"mark"),
    Hello("shardstore 0.1.0"),
    Welcome(2**64 - 1, "store", b"\x80", "/data"),
    Routes(presplit([b"\x80"], 2).to_document(), {0: "ipc:///a", 1: "tcp://127.0.0.1:1"}),
    Register(1, "ipc:///b", {1: 2}, {1: 2, 3: 4}, 2**64 - 1, "disk full"),
    Assignments(
        [Assignment(1, b"", b"m", 2, create=True), Assignment(2, b"m", b"", 1, create=False)], b"\x80", 2**63, 3
    ),
    Ready({1: 2}),
    Heartbeat(1, 255, 2**63, LeaseReport(4, 2, 1, 8), 3, "disk full"),
    Lease(8, 0),
    Assignments([], b"\x80", 2**63, 9, [ORDER], [5], 2**64 - 1),
    OrderMessage(ORDER, b"\x80"),
    Progress(3, {2: {"forgot": False}, 3: None}, [7], [2, 3], [8]),
    Retire(3, [2], b"\x80"),
    LoadReport(1, [RangeReport(2, 300, 200, 4, 5_000_000_000, 6, 70, 800, 9, 10, 11, [b"a", b"b"], b"z", [b"m"])]),
    OutcomeQuestion(2**64 - 1, 7, [b"", b"a", b"b", b""]),
    OutcomeReply("not_applied"),
    Statistics({"wal": {"lsn_durable": 7}, "ranges": [{"start": b""}]}),
    TakeRequest(b"a", b"b", reverse=True),
    CountRequest(b"a", b"b", estimate=True),
    CountReply(10, 11, 12),
    OrderMessage(Order(DISCARDING, {9: 1}, {}, drained=False, gone=[7, 8]), b"\x80"),
    Progress(4, dropped=[7], trouble={2: "damaged"}, entries={2: 3, 9: 0}, bytes={2: 40, 9: 0}),
]
