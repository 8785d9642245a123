"""The result of each call when nothing goes wrong."""

from __future__ import annotations

import pytest

from shardstore.client.calls.calls import EndScan, GetStats, Maintain, Open, Page, ScanPage
from shardstore.errors import Busy, Unavailable
from shardstore.limits import MILLISECOND_NS
from shardstore.options import ScanMode
from shardstore.wire.messages import Refusal
from shardstore.wire.wire_format import Flag, Op, Status
from tests.unit.client.session_driver import (
    TIMEOUT_NS,
    SessionDriver,
    contains,
    delete,
    delete_many,
    get,
    get_many,
    new_scan,
    put,
    put_many,
)
from tests.unit.fake_cluster import FakeCluster, Refuse

KEYS = [bytes([first, second]) for first in range(0, 256, 5) for second in (0, 7)]


@pytest.fixture
def full() -> SessionDriver:
    cluster = FakeCluster()
    cluster.data.update((key, b"<" + key + b">") for key in KEYS)
    return SessionDriver(cluster)


def test_hello_brings_an_id_and_links_to_the_workers() -> None:
    driver = SessionDriver(FakeCluster(), opened=False)
    assert [(link, header.op, header.client) for link, header in driver.sent] == [("router", Op.HELLO, 0)]
    opening = Open(TIMEOUT_NS)
    assert driver.call(opening) is None
    assert opening in driver.ended
    assert driver.links == {"router": "unix://router", "worker:0": "unix://worker-0", "worker:1": "unix://worker-1"}
    driver.call(get(b"a"))
    assert driver.sent[-1][1].client == 1_001


def test_without_the_direct_way_everything_goes_through_the_router() -> None:
    driver = SessionDriver(FakeCluster(), direct=False)
    assert driver.call(put(b"a")) is None
    assert driver.call(get(b"a")) == b"value"
    assert {link for link, _ in driver.sent} == {"router"} == set(driver.links)


def test_calls_made_before_the_routes_are_known_wait_for_them() -> None:
    driver = SessionDriver(FakeCluster(), opened=False)
    assert driver.call(get(b"a")) is None
    assert len(driver.ended) == 1


def test_a_router_that_never_answers() -> None:
    driver = SessionDriver(FakeCluster(), opened=False)
    driver.silent.add("router")
    opening = Open(TIMEOUT_NS)
    driver.submit(opening)
    driver.advance(11_000)
    assert isinstance(driver.ended[opening], Unavailable)
    assert "unix://router" in str(driver.ended[opening])
    assert 30 < len(driver.sent) < 50


def test_single_operations(driver: SessionDriver) -> None:
    assert driver.call(get(b"key")) is None
    assert driver.call(contains(b"key")) is None
    assert driver.call(put(b"key", b"\0value\0")) is None
    assert driver.call(get(b"key")) == b"\0value\0"
    assert driver.call(contains(b"key")) == b""
    assert driver.call(delete(b"key")) is None
    assert driver.call(get(b"key")) is None
    assert driver.cluster.data == {}
    assert len(driver.ended) == 8  # one was the opening


def test_a_single_operation_is_one_message_to_the_owner(driver: SessionDriver) -> None:
    driver.call(get(b"\xc1"))
    ((link, header),) = driver.sent
    assert (link, header.segment, header.epoch, header.entries) == ("worker:1", 4, 1, 1)
    assert 9_000 < header.duration_ms <= 10_000


@pytest.mark.parametrize("lengths", [(2, 2), (2, 5)], ids=["fixed", "variable"])
def test_many(driver: SessionDriver, lengths: tuple[int, int]) -> None:
    keys = [key.ljust(lengths[at % 2], b"!") for at, key in enumerate(reversed(KEYS))]
    values = [b"v" * (at % 3) for at in range(len(keys))]
    assert driver.call(put_many(keys, values)) is None
    assert driver.cluster.data == dict(zip(keys, values, strict=True))
    asked = [*keys, b"\x7fabsent", keys[0]]
    assert driver.call(get_many(asked)) == [*values, None, values[0]]
    assert driver.call(delete_many(keys[::2])) is None
    assert sorted(driver.cluster.data) == sorted(keys[1::2])
    assert len(driver.sent) == 12


def test_the_last_of_equal_keys_wins(driver: SessionDriver) -> None:
    keys = [b"\x01a", b"\xf0a"] * 500
    driver.call(put_many(keys, [str(at).encode() for at in range(1_000)]))
    assert driver.cluster.data == {b"\x01a": b"998", b"\xf0a": b"999"}


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("boundaries", [[], [b"\x40", b"\x80", b"\xc0"]], ids=["one range", "four ranges"])
def test_an_answer_in_parts(fixed: bool, boundaries: list[bytes]) -> None:
    cluster = FakeCluster(boundaries)
    cluster.values_max = 3
    driver = SessionDriver(cluster)
    keys = KEYS if fixed else [key.rstrip(b"\0") or b"\0" for key in KEYS]
    values = [b"v" * at for at in range(len(keys))]
    driver.call(put_many(keys, values))
    assert driver.call(get_many(keys)) == values


def test_an_answer_in_parts_to_gathered_calls(full: SessionDriver) -> None:
    full.cluster.values_max = 2
    calls = [get(key) for key in KEYS[:9]]
    full.submit(*calls)
    full.run()
    assert [full.ended[call] for call in calls] == [b"<" + key + b">" for key in KEYS[:9]]


def _scanned(
    driver: SessionDriver,
    reverse: bool = False,
    limit: int | None = None,
    mode: str = "snapshot",
    **bounds: bytes,
) -> list[bytes]:
    scan = new_scan(reverse=reverse, limit=limit, mode=mode, **bounds)
    found: list[tuple[bytes, bytes]] = []
    while (call := scan.next_call()) is not None:
        answer = driver.call(call)
        if isinstance(call, EndScan):
            scan.confirm()
        else:
            found += scan.take(answer)
    assert all(value == b"<" + key + b">" for key, value in found)
    return [key for key, _ in found]


@pytest.mark.parametrize("mode", ScanMode)
@pytest.mark.parametrize("page_entries", [1, 4, 1_000])
def test_scans(full: SessionDriver, page_entries: int, mode: str) -> None:
    full.cluster.page_entries = page_entries
    assert _scanned(full, mode=mode) == KEYS
    assert _scanned(full, reverse=True) == KEYS[::-1]
    assert _scanned(full, limit=0) == []
    assert _scanned(full, limit=30) == KEYS[:30]
    assert _scanned(full, reverse=True, limit=30) == KEYS[:-31:-1]
    for start, end in [
        (b"\x40", b"\x80"),
        (b"\x3c\x07", b"\xc0"),
        (b"\x05\x01", b"\x05\x07"),
        (b"\xff\x01", b"\xff\xff"),
    ]:
        within = [key for key in KEYS if start <= key < end]
        assert _scanned(full, start=start, end=end) == within
        assert _scanned(full, reverse=True, start=start, end=end) == within[::-1]
    assert _scanned(full, prefix=b"\x41") == [b"\x41\x00", b"\x41\x07"]
    assert _scanned(full, prefix=b"\xff", reverse=True) == [b"\xff\x07", b"\xff\x00"]
    assert _scanned(full, prefix=b"\xff", start=b"\xff\x01") == [b"\xff\x07"]
    assert _scanned(full, prefix=b"\x41", end=b"\x41") == []
    assert _scanned(full, start=b"\x41", end=b"\x41") == []


def test_a_scan_asks_only_the_segments_it_needs(full: SessionDriver) -> None:
    _scanned(full, start=b"\x40", end=b"\x80")
    _scanned(full, start=b"\x40", end=b"\x80", reverse=True)
    assert [header.segment for _, header in full.sent] == [2, 2]


@pytest.mark.parametrize("mode", ScanMode)
def test_a_page_for_which_nobody_waits_any_more_is_ended(full: SessionDriver, mode: ScanMode) -> None:
    """It may be the first of its range, so only its reply shows whether the worker holds anything for it."""
    full.cluster.page_entries = 3
    call = ScanPage(TIMEOUT_NS, b"\x40", b"", False, False, 0, mode)
    full.submit(call)
    full.abandon(call)
    full.run()
    assert full.cluster.scans_ended == ([] if mode is ScanMode.LIVE else [b"cursor of 2"])
    assert call not in full.ended


def test_a_page_of_keys_only(full: SessionDriver) -> None:
    page = full.call(ScanPage(TIMEOUT_NS, b"", b"", False, True, 10))
    assert page == Page(KEYS[:10], [], (KEYS[9] + b"\0", b""), True, b"")


@pytest.mark.parametrize("op", [Op.FLUSH, Op.COMPACT])
def test_barriers_go_to_every_segment(driver: SessionDriver, op: Op) -> None:
    call = Maintain(TIMEOUT_NS, op)
    assert driver.call(call) is None
    assert call in driver.ended
    asked = sorted((header.op, header.segment) for _, header in driver.sent)
    assert asked == [(op, 1), (op, 2), (op, 3), (op, 4)]


@pytest.mark.parametrize(
    ("start", "end", "segments"),
    [
        (b"", b"", [1, 2, 3, 4]),
        (b"\x40", b"\x80", [2]),
        (b"\x40", b"\x80\x00", [2, 3]),
        (b"\x7f", b"", [2, 3, 4]),
        (b"", b"\x01", [1]),
        (b"\xff", b"", [4]),
    ],
)
def test_barriers_go_to_the_segments_of_a_range(
    driver: SessionDriver, start: bytes, end: bytes, segments: list[int]
) -> None:
    assert driver.call(Maintain(TIMEOUT_NS, Op.FLUSH, start, end)) is None
    assert sorted(header.segment for _, header in driver.sent) == segments


def test_a_barrier_that_nobody_waits_for_is_refused_at_once(driver: SessionDriver) -> None:
    driver.cluster.script.extend([None, Refuse(Status.BUSY, 100, Refusal("a flush runs", 1, 1))])
    call = Maintain(TIMEOUT_NS, Op.FLUSH, flags=Flag.NO_WAIT)
    driver.call(call)
    error = driver.ended[call]
    assert isinstance(error, Busy)
    assert (error.cause, error.applied) == ("a flush runs", False)
    assert {header.flags for _, header in driver.sent} == {Flag.NO_WAIT}
    assert len(driver.sent) == 4


def test_a_barrier_that_is_waited_for_is_asked_again_when_it_was_refused(driver: SessionDriver) -> None:
    driver.cluster.script.append(Refuse(Status.BUSY, 100, Refusal("full", 1, 1)))
    call = Maintain(TIMEOUT_NS, Op.FLUSH)
    driver.call(call)
    driver.advance(200)
    assert driver.ended[call] is None


def test_statistics_without_a_worker_that_is_down(driver: SessionDriver) -> None:
    driver.cluster.down.add(1)
    driver.receive(driver.cluster.broadcast())
    figures = driver.call(GetStats(TIMEOUT_NS))
    assert figures == {"router": {"role": "router"}, 0: {"worker": 0}, 1: {"unavailable": "worker is down"}}
    assert list(figures) == ["router", 0, 1], "whoever answered first"


def test_statistics_without_a_worker_that_does_not_answer(driver: SessionDriver) -> None:
    driver.silent |= {"worker:1"}
    driver.cluster.down.add(1)
    call = GetStats(900 * MILLISECOND_NS)
    driver.call(call)
    assert call not in driver.ended
    driver.advance(1_000)
    assert driver.ended[call] == {
        "router": {"role": "router"},
        0: {"worker": 0},
        1: {"unavailable": "no answer within 0.9 s"},
    }


def test_statistics_that_nobody_answers(driver: SessionDriver) -> None:
    driver.silent |= {"router", "worker:0", "worker:1"}
    call = GetStats(900 * MILLISECOND_NS)
    driver.submit(call)
    driver.advance(1_000)
    assert isinstance(driver.ended[call], Unavailable)


def test_statistics(driver: SessionDriver) -> None:
    figures = driver.call(GetStats(TIMEOUT_NS))
    assert figures == {"router": {"role": "router"}, 0: {"worker": 0}, 1: {"worker": 1}}
