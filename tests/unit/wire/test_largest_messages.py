"""Every message between processes of the store fits into its limit with all its parts at their maximum.

There are 10,000 ranges, or as many as a store may have and their first keys have room for; each test names the other
maxima. Requests of clients are bounded by the size of a call (tests of the wire format), and HEARTBEAT by its fields.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import cache
from itertools import repeat
from threading import Thread
from typing import Any

import pytest

from shardstore.errors import InvalidRequest
from shardstore.identifiers import Epoch, RequestId, SegmentId, WorkerId
from shardstore.key_range import KeyRange
from shardstore.limits import (
    BOUNDARY_BYTES_MAX,
    DEDUP_BYTES_MAX,
    DOCUMENT_BYTES_MAX,
    DRAIN_RANGES_MAX,
    DRAIN_SPEC_BYTES_MAX,
    FRAME_BYTES_MAX,
    GIB,
    KEY_BYTES_MAX,
    LOAD_CUT_RANGES_MAX,
    LOAD_CUTS_MAX,
    LOAD_KEY_BYTES_MAX,
    LOAD_KEYS_MAX,
    LOAD_RANGES_MAX,
    PARTS_AIM,
    RANGES_MAX,
    REFUSAL_CHARACTERS_MAX,
    WORKERS_MAX,
)
from shardstore.router import change_plan, route_table
from shardstore.router.route_table import Topology
from shardstore.segment_options import SegmentOptions
from shardstore.tables.manifest import Manifest, new_manifest, read_manifest
from shardstore.tables.table_format import RECORD_BYTES_MAX, TableRecord
from shardstore.wire import messages
from shardstore.wire.admin_messages import AdminReply, RangeRow
from shardstore.wire.load_report import LoadReport, RangeReport
from shardstore.wire.messages import (
    Assignment,
    Assignments,
    Heartbeat,
    LeaseReport,
    Ready,
    Refusal,
    Register,
    Routes,
    Statistics,
    Welcome,
)
from shardstore.wire.route_map import Route, RouteMap
from shardstore.wire.topology import Change, Order, OrderMessage, Progress, Relative, Retire
from shardstore.workers.jobs.figures import JobFigures
from shardstore.workers.jobs.part_sizes import sized
from shardstore.workers.jobs.specs import (
    CompactResult,
    CompactSpec,
    DrainResult,
    DrainSpec,
    MaterialiseSpec,
    ReleaseSpec,
    RetireSpec,
    SegmentDrain,
    decode_result,
    decode_spec,
    encode_result,
    encode_spec,
)
from shardstore.workers.maintenance.channel import PIECE_BYTES, ChannelClosed, receive, send
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.segment.manifest_writer import publish_manifest
from shardstore.workers.statistics import RANGES_LISTED_MAX, _range_statistics
from tests.unit.faulty_filesystem import FaultyFilesystem

LARGE = 2**63 - 1
HOST = "s" * 64


def boundaries(count: int) -> list[bytes]:
    """The first keys of the maximum number of ranges, with their maximum total length."""
    each = min(KEY_BYTES_MAX, BOUNDARY_BYTES_MAX // count)
    return [b"", *(number.to_bytes(4, "big").ljust(each, b"k") for number in range(1, count))]


@cache
def route_map(count: int) -> RouteMap:
    starts = boundaries(count)
    return RouteMap(
        2**40,
        tuple(
            Route(start, SegmentId(2**32 - 1 - at), WorkerId(at % WORKERS_MAX), Epoch(2**32 - 1), created=False)
            for at, start in enumerate(starts)
        ),
    )


COUNTS = [BOUNDARY_BYTES_MAX // KEY_BYTES_MAX, 10_000, RANGES_MAX]
ENDPOINTS = dict.fromkeys(range(WORKERS_MAX), "unix:///" + "e" * 107)


def routes(count: int) -> bytes:
    return messages.encode(Routes(route_map(count).to_document(), ENDPOINTS))


@cache
def full_window() -> DedupWindow:
    """Clients that write to many ranges in turn, where every second write fails."""
    window = DedupWindow()
    for number in range(1, 3_000):
        window.note(RequestId(1, number * 200), 0, 0, b"" if number % 2 else b"%d" % -(2**62))
    one = window.to_carry()["clients"][0]
    clients = [[2**64 - 1 - client, *one[1:]] for client in range(1, 1_025)]
    window = DedupWindow.from_document({"forgot": False, "clients": clients})
    assert DEDUP_BYTES_MAX // 2 < window.size_bytes <= DEDUP_BYTES_MAX
    return window


@cache
def window() -> dict[str, Any]:
    return full_window().to_carry()


LONGEST = b"k" * KEY_BYTES_MAX


def change(number: int) -> Change:
    parents = (
        Relative(2**32 - 1, LONGEST[:-1], LONGEST, 255, 2**32 - 1),
        Relative(2**32 - 2, LONGEST, LONGEST + b"k", 255, 2**32 - 1),
    )
    return Change(number, "merge", parents, (Relative(2**32 - 3, LONGEST[:-1], LONGEST + b"k", 254),))


EPOCHS_OF_CHILDREN = {2**32 - 1: 2**32 - 1, 2**32 - 2: 2**32 - 1}


def assignments(count: int) -> Assignments:
    """One worker has all ranges, all of them children of changes under way."""
    starts = boundaries(count)
    ranges = [
        Assignment(2**32 - 1 - at, start, end, 2**32 - 1, create=True)
        for at, (start, end) in enumerate(zip(starts, [*starts[1:], b""], strict=True))
    ]
    children = [Relative(each.segment, each.start, each.end, 255, each.epoch) for each in ranges]
    splits = [children[at : at + LOAD_CUTS_MAX + 1] for at in range(0, count, LOAD_CUTS_MAX + 1)]
    orders = [
        Order(
            Change(2**40, "split", (Relative(2**32 - 1, halves[0].start, halves[-1].end, 255),), tuple(halves)),
            {half.segment: half.epoch for half in halves},
            {},
            drained=True,
        )
        for halves in splits
    ]
    return Assignments(ranges, routes(count), LARGE, 2**32 - 1, orders, list(range(2**31, 2**31 + count)))


def rows(count: int) -> AdminReply:
    starts = boundaries(count)
    return AdminReply(
        ranges=[
            RangeRow(start, end, 2**32 - 1, 255, 2**32 - 1, LARGE, LARGE, "materialised")
            for start, end in zip(starts, [*starts[1:], b""], strict=True)
        ]
    )


def statistics(count: int) -> Statistics:
    segment = 2**32 - 1
    keys = min(KEY_BYTES_MAX, BOUNDARY_BYTES_MAX // RANGES_LISTED_MAX)
    owned = OwnedRange(segment, KeyRange(b"a" * keys, b"b" * keys), segment, None, DedupWindow())
    told = {**_range_statistics(owned), "layers": dict.fromkeys(map(str, range(40)), LARGE), "last_failure": "f" * 200}
    return Statistics({"ranges": [told] * min(count, RANGES_LISTED_MAX)})


def epochs(count: int) -> dict[int, int]:
    return {2**32 - 1 - at: 2**32 - 1 for at in range(count)}


def loads() -> LoadReport:
    """Some ranges have as many sampled keys as the message has room for, others as many cuts."""
    sampled = LOAD_KEY_BYTES_MAX // (LOAD_KEYS_MAX * KEY_BYTES_MAX)
    keys = [[LONGEST] * LOAD_KEYS_MAX] * sampled + [[]] * (LOAD_RANGES_MAX - sampled)
    cuts = [[]] * (LOAD_RANGES_MAX - LOAD_CUT_RANGES_MAX) + [[LONGEST] * LOAD_CUTS_MAX] * LOAD_CUT_RANGES_MAX
    numbers = [LARGE] * 10
    return LoadReport(
        255,
        [RangeReport(2**32 - 1, *numbers, *each) for each in zip(keys, repeat(LONGEST), cuts, strict=False)],
    )


OF_RANGES: dict[str, Callable[[int], Any]] = {
    "ROUTES": lambda count: Routes(route_map(count).to_document(), ENDPOINTS),
    "HELLO, answer": lambda count: Welcome(LARGE, HOST, routes(count), "d" * 4_096),
    "any refusal": lambda count: Refusal("w" * 1_024, LARGE, LARGE, "f" * 1_024, LARGE, routes(count)),
    "REGISTER": lambda count: Register(255, ENDPOINTS[0], epochs(count), epochs(count)),
    "REGISTER, answer": assignments,
    "READY": lambda count: Ready(epochs(count)),
    "CHANGE": lambda count: OrderMessage(
        Order(change(2**40), EPOCHS_OF_CHILDREN, {1: window(), 2: window()}, drained=True), routes(count)
    ),
    "RETIRE": lambda count: Retire(2**40, [2**32 - 1] * 2, routes(count)),
    "ADMIN, answer": rows,
    "STATS, answer": statistics,
}
OTHERS: dict[str, Callable[[], Any]] = {
    "PROGRESS": lambda: Progress(2**40, {1: window(), 2: window()}, [2**32 - 1] * 2, [2**32 - 1] * 2, [2**32 - 1] * 2),
    "LOAD": loads,
    "HEARTBEAT": lambda: Heartbeat(
        255, 255, LARGE, LeaseReport(LARGE, LARGE, LARGE, LARGE), LARGE, "\N{EURO SIGN}" * REFUSAL_CHARACTERS_MAX
    ),
}


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("message", OF_RANGES)
def test_what_tells_of_ranges_fits(message: str, count: int) -> None:
    document = OF_RANGES[message](count)
    frame = messages.encode(document)
    assert len(frame) < FRAME_BYTES_MAX
    assert messages.decode(type(document), frame) == document


@pytest.mark.parametrize("message", OTHERS)
def test_all_else_between_router_and_workers_fits(message: str) -> None:
    document = OTHERS[message]()
    frame = messages.encode(document)
    assert len(frame) < FRAME_BYTES_MAX
    assert messages.decode(type(document), frame) == document


@pytest.mark.parametrize("count", COUNTS)
def test_the_route_map_fits_into_its_file(count: int) -> None:
    topology = Topology(
        route_map(count), 2**32, changes=tuple(map(change, range(1_000))), workers=tuple(range(WORKERS_MAX))
    )
    assert len(route_table.encode(HOST, topology)) < DOCUMENT_BYTES_MAX


def test_no_split_makes_the_first_keys_of_ranges_too_long() -> None:
    topology = Topology(route_map(10_000), 2**32 - 1, workers=tuple(range(WORKERS_MAX)))
    with pytest.raises(InvalidRequest, match="first keys of all ranges"):
        change_plan.split_change(topology, [b"\xff" * (KEY_BYTES_MAX - 1), b"\xff" * KEY_BYTES_MAX], [0, 0, 0])


# ---------------------------------------------------------------- jobs


def record(number: int, keys: bytes = LONGEST) -> TableRecord:
    """The bounds of a virtual part of a linked table."""
    first = number.to_bytes(4, "big").ljust(len(keys), b"f")
    last = number.to_bytes(4, "big").ljust(len(keys), b"l")
    return TableRecord(number, LARGE, 9, 9, first, last, 2**64 - 1, 2**32 - 1, LARGE, first, last + b"l", LARGE)


def manifest(tables: int, keys: bytes = LONGEST) -> Manifest:
    parts = tuple(record(number, keys) for number in range(1, tables + 1))
    made = new_manifest(HOST, 42, KeyRange(b"", b""), 2**32 - 1)
    return made.successor(main=parts, checkpoint={2**64 - 1: LARGE}, dedup=window())


def test_a_record_of_a_table_is_no_longer_than_is_counted() -> None:
    assert (
        len(messages.encode(record(LARGE % 2**32)))
        <= record(1).record_bytes
        == RECORD_BYTES_MAX + 4 * KEY_BYTES_MAX + 1
    )


def test_a_manifest_of_many_tables_fits_into_its_file_and_into_a_result() -> None:
    filesystem = FaultyFilesystem()
    filesystem.make_directory("segments/0000002a")
    largest = manifest(PARTS_AIM + PARTS_AIM // 4)
    publish_manifest(filesystem, largest)
    assert read_manifest(filesystem, HOST, 42) == largest
    result = CompactResult(largest.without_window())
    assert decode_result(CompactSpec(HOST, 42, 1, 7), encode_result(result)) == result


@pytest.mark.parametrize("terabytes", [0, 1, 100])
def test_the_number_of_parts_hardly_grows_with_the_segment(terabytes: int) -> None:
    options = sized(SegmentOptions(), terabytes * 1_024 * GIB)
    assert terabytes * 1_024 * GIB // options.part_min_bytes <= PARTS_AIM + 1


def test_a_drain_fits_into_its_spec_and_its_result() -> None:
    drains = tuple(SegmentDrain(2**32 - 1 - at, LARGE, LARGE, 2**32 - 1, {}) for at in range(DRAIN_RANGES_MAX))
    windows = DRAIN_SPEC_BYTES_MAX // full_window().size_bytes
    drains = (*(SegmentDrain(at, LARGE, LARGE, 1, window()) for at in range(windows)), *drains[windows:])
    spec = DrainSpec(255, HOST, 2**64 - 1, drains)
    assert decode_spec(encode_spec(spec)) == spec
    tables = DRAIN_SPEC_BYTES_MAX // DRAIN_RANGES_MAX // record(1).record_bytes + 1
    manifests = (manifest(tables).without_window(),) * DRAIN_RANGES_MAX
    result = DrainResult(manifests, (JobFigures(LARGE, LARGE, LARGE, LARGE, LARGE),) * DRAIN_RANGES_MAX)
    assert decode_result(spec, encode_result(result)) == result


def test_other_jobs_fit_into_their_specs() -> None:
    materialise = MaterialiseSpec(HOST, 2**32 - 1, LONGEST, LONGEST + b"k", 2**32 - 1, (1, 2), window())
    release = ReleaseSpec(
        255, HOST, 2**64 - 1, LARGE, LARGE, epochs(RANGES_MAX), tuple("p" * 60 for _ in range(100_000))
    )
    retire = RetireSpec(HOST, tuple(range(2**31, 2**31 + RANGES_MAX)))
    for spec in (materialise, release, retire):
        assert decode_spec(encode_spec(spec)) == spec


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 70 * PIECE_BYTES])
def test_a_message_to_the_maintenance_process_may_be_of_any_length(size: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        body = bytes(range(256)) * (size // 256) + bytes(size % 256)
        sender = Thread(target=send, args=(ours, 7, body))
        sender.start()
        assert receive(theirs) == (7, body)
        sender.join()


def test_a_piece_that_is_too_long_or_of_another_job_breaks_the_channel() -> None:
    for data in (
        (PIECE_BYTES + 1).to_bytes(4, "little") + bytes(8),
        (1 << 31).to_bytes(4, "little") + bytes(8) + bytes(4) + (1).to_bytes(8, "little"),
    ):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(data)
            with pytest.raises(ChannelClosed, match="a piece of"):
                receive(theirs)
