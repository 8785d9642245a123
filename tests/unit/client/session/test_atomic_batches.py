"""Atomic batches in a session: one request to one segment, exactly once, also when ranges change."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from shardstore.client.calls.batch import BATCH_BYTES_MAX, BatchContents
from shardstore.client.calls.calls import AtomicBatch, Call
from shardstore.client.calls.operations import outcome as ask_outcome
from shardstore.client.calls.outcome_token import from_bytes
from shardstore.errors import Busy, InvalidRequest, OutcomeUnknown, Unavailable
from shardstore.limits import REQUEST_ENTRIES_MAX
from shardstore.outcome import Ending
from shardstore.wire.messages import Refusal
from shardstore.wire.wire_format import Op, Status
from tests.unit.client.session.session_changes import KEYS, late, merge, sent, split
from tests.unit.client.session_driver import TIMEOUT_NS, SessionDriver, get, put
from tests.unit.fake_cluster import FakeCluster, Lose, Refuse

LOW, LOWER, HIGH = KEYS[0], KEYS[1], KEYS[-1]
"""All in segment 2; after `split` the first two are in segment 5, the last one in segment 6."""


def batch(
    changes: Mapping[bytes, bytes | None], required: Mapping[bytes, bytes | None] | None = None, ns: int = TIMEOUT_NS
) -> AtomicBatch:
    conditions = required or {}
    return AtomicBatch(ns, [*changes], [*changes.values()], [*conditions], [*conditions.values()])


def outcome(driver: SessionDriver, error: OutcomeUnknown) -> Ending:
    asked = from_bytes(error.token)
    return asked.outcome([driver.call(call) for call in ask_outcome(asked, 10)]).state


def test_a_batch_is_one_request(driver: SessionDriver) -> None:
    driver.cluster.data = {b"b": b"1"}
    assert driver.call(batch({b"a": b"1", b"b": None, b"cc": b"3"}, {b"b": b"1", b"d": None})) is True
    assert driver.cluster.data == {b"a": b"1", b"cc": b"3"}
    assert driver.call(batch({b"a": b"2"}, {b"b": b"1"})) is False
    assert driver.call(batch({}, {b"a": b"1"})) is True
    assert {header.op for _, header in driver.routed()} == {Op.BATCH}
    assert [header.entries for _, header in driver.routed()] == [3, 1, 0]
    assert driver.cluster.data == {b"a": b"1", b"cc": b"3"}


def test_batches_are_not_gathered_and_keep_their_order_among_writes(driver: SessionDriver) -> None:
    calls: list[Call] = [
        put(b"a", b"1"),
        batch({b"a": b"2"}, {b"a": b"1"}),
        batch({b"a": None}, {b"a": b"2"}),
        get(b"z"),
    ]
    driver.submit(*calls)
    driver.run()
    assert [driver.ended[call] for call in calls] == [None, True, True, None]
    assert driver.cluster.data == {}


@pytest.mark.parametrize(
    ("changes", "required", "beyond"),
    [
        ({b"a": b"", b"\x85": b""}, {}, b"\x85"),
        ({b"a": b"", b"b": b""}, {b"b": None, b"\x10": b"1"}, b"\x10"),
        ({}, {b"a": None, b"\xff": None}, b"\xff"),
    ],
)
def test_keys_of_several_ranges_are_refused_by_name(
    driver: SessionDriver, changes: dict[bytes, bytes], required: dict[bytes, bytes | None], beyond: bytes
) -> None:
    error = driver.call(batch(changes, required))
    assert type(error) is InvalidRequest
    told = (
        f"a batch is for keys of one range, and {beyond!r} is beyond that of b'a', which is from b'@' to b'\\x80'; "
        "a space that is made with together=True stays in one range"
    )
    assert str(error) == told
    assert not driver.sent


def test_before_there_are_routes_a_batch_waits_for_them(cluster: FakeCluster) -> None:
    driver = SessionDriver(cluster, opened=False)
    fits, divided = batch({b"a": b"1"}), batch({b"a": b"1", b"\xff": b"1"})
    driver.submit(fits, divided)
    driver.run()
    assert driver.ended[fits] is True
    assert isinstance(driver.ended[divided], InvalidRequest)


@pytest.mark.parametrize("lost", [Lose.REQUEST, Lose.REPLY])
def test_a_batch_that_got_no_answer_is_sent_again(driver: SessionDriver, lost: Lose) -> None:
    driver.cluster.script.append(lost)
    call = batch({b"a": b"1", b"b": b"1"}, {b"a": None})
    driver.call(call)
    driver.advance(3_000)
    assert driver.ended[call] is True
    assert [(sequence, retry) for *_, sequence, retry in sent(driver, Op.BATCH)] == [(1, False), (1, True)]
    assert len(driver.cluster.log) == 1


@pytest.mark.parametrize(("lost", "ending"), [(Lose.REPLY, Ending.APPLIED), (Lose.REQUEST, Ending.NOT_APPLIED)])
def test_the_outcome_of_a_batch_can_be_asked(driver: SessionDriver, lost: Lose, ending: Ending) -> None:
    driver.cluster.script.extend([lost, *[Lose.REQUEST] * 20])
    call = batch({b"a": b"1", b"b": None})
    driver.submit(call)
    driver.advance(10_010)
    error = driver.ended[call]
    assert type(error) is OutcomeUnknown
    driver.cluster.script.clear()
    assert outcome(driver, error) is ending


def test_a_batch_that_finds_no_room_was_not_applied(driver: SessionDriver) -> None:
    driver.cluster.script.extend([Refuse(Status.BUSY, 50, Refusal("full", 2, 1))] * 300)
    call = batch({b"a": b"1"})
    driver.call(call)
    driver.advance(10_010)
    assert type(driver.ended[call]) is Busy


def test_a_batch_whose_worker_is_down_was_not_applied(driver: SessionDriver) -> None:
    driver.cluster.down.add(0)
    driver.failing.add("worker:0")
    call = batch({b"a": b"1"})
    driver.call(call)
    driver.advance(10_010)
    assert type(driver.ended[call]) is Unavailable


# ---------------------------------------------------------------- changes of ranges


@pytest.mark.parametrize("known", ["before", "while it waits", "while it is under way"])
def test_a_batch_whose_keys_a_split_divides_is_refused(driver: SessionDriver, known: str) -> None:
    call = batch({LOW: b"1", HIGH: b"1"})
    if known == "before":
        split(driver)
        driver.submit(call)
    elif known == "while it waits":
        driver.submit(put(LOW), call)
        answer = late(driver)
        split(driver)
        driver.receive(answer, "worker:0")
    else:
        driver.submit(call)
        split(driver)
    driver.run()
    error = driver.ended[call]
    assert type(error) is InvalidRequest
    assert repr(HIGH) in str(error)
    assert driver.call(put(HIGH)) is None
    assert driver.call(put(LOW)) is None


@pytest.mark.parametrize("lost", [Lose.REQUEST, Lose.REPLY])
def test_a_batch_in_doubt_whose_keys_are_divided_is_to_be_asked_for(driver: SessionDriver, lost: Lose) -> None:
    driver.cluster.script.append(lost)
    call = batch({LOW: b"1", HIGH: b"1"})
    driver.call(call)
    split(driver)
    driver.advance(3_000)
    error = driver.ended[call]
    assert type(error) is OutcomeUnknown
    assert isinstance(error.__cause__, InvalidRequest)
    assert outcome(driver, error) is (Ending.APPLIED if lost is Lose.REPLY else Ending.NOT_APPLIED)
    assert driver.call(put(HIGH)) is None
    assert driver.call(put(LOW)) is None


@pytest.mark.parametrize("lost", [Lose.REQUEST, Lose.REPLY])
def test_a_batch_in_doubt_follows_its_keys_to_one_heir(driver: SessionDriver, lost: Lose) -> None:
    driver.cluster.script.append(lost)
    call = batch({LOW: b"1", LOWER: None}, {LOWER: None})
    driver.call(call)
    split(driver)
    driver.advance(3_000)
    assert driver.ended[call] is True
    assert [(segment, sequence, retry) for _, segment, sequence, retry in sent(driver, Op.BATCH)] == [
        (2, 1, False),
        (5, 1, True),
    ]
    assert len(driver.cluster.log) == 1
    assert driver.call(put(HIGH)) is None


def test_a_batch_of_a_merged_segment_goes_to_the_merged_one(driver: SessionDriver) -> None:
    driver.cluster.script.append(Lose.REPLY)
    call = batch({LOW: b"1", HIGH: b"1"})
    driver.call(call)
    merge(driver, 2)
    driver.advance(3_000)
    assert driver.ended[call] is True
    assert len(driver.cluster.log) == 1


def test_a_batch_refused_by_a_former_owner_is_new_to_the_next(driver: SessionDriver) -> None:
    driver.cluster.new_epochs(0)
    assert driver.call(batch({LOW: b"1", HIGH: b"1"})) is True


# ---------------------------------------------------------------- what a batch collects


def contents() -> BatchContents:
    return BatchContents(None)


def test_the_later_change_of_a_key_counts_at_the_place_of_the_first() -> None:
    collected = contents()
    collected.put(b"a", b"1")
    collected.put(b"b", b"2")
    collected.delete(b"a")
    collected.require(b"c", None)
    collected.require(b"c", None)
    call = collected._committed(1.5)
    assert call is not None
    assert (call.keys, call.values) == ([b"a", b"b"], [None, b"2"])
    assert (call.required, call.expected, call.key) == ([b"c"], [None], b"a")
    assert call.timeout_ns == 1_500_000_000


def test_an_empty_batch_asks_nothing() -> None:
    assert contents()._committed(None) is None


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda batch: batch.put(b"", b""), "1 to 4,096 bytes"),
        (lambda batch: batch.put(b"k", "text"), "a value is bytes"),
        (lambda batch: batch.put(b"k", None), "a value is bytes"),
        (lambda batch: batch.delete("k"), "a key is bytes"),
        (lambda batch: batch.require(b"k", 7), "an expected value is bytes"),
        (lambda batch: batch.require(b"r", b"2"), "the batch requires another value of b'r' already"),
        (lambda batch: batch.require(b"r", None), "the batch requires another value of b'r' already"),
        (lambda batch: batch.require(b"n", b""), "the batch requires another value of b'n' already"),
    ],
)
def test_bad_arguments_are_refused_as_they_come(use: Any, what: str) -> None:
    collected = contents()
    collected.require(b"r", b"1")
    collected.require(b"n", None)
    with pytest.raises(InvalidRequest, match=what):
        use(collected)


def test_a_batch_that_is_full_says_so_as_it_comes() -> None:
    collected = contents()
    collected.put(b"a", bytes(8 << 20))
    collected.require(b"b", bytes(7 << 20))
    with pytest.raises(InvalidRequest, match=f"a batch has at most {BATCH_BYTES_MAX:,} bytes, not 17,"):
        collected.put(b"c", bytes(2 << 20))
    collected.put(b"a", b"")
    collected.put(b"c", bytes(8 << 20))


def test_a_batch_with_too_many_entries_says_so_as_it_comes() -> None:
    collected = contents()
    for at in range(REQUEST_ENTRIES_MAX - 1):
        collected.delete(b"%d" % at)
    collected.require(b"0", None)
    collected.put(b"0", b"")
    with pytest.raises(InvalidRequest, match="a batch has at most 65,536 changes and conditions"):
        collected.put(b"more", b"")


def test_the_largest_batch_fits_into_a_request(driver: SessionDriver) -> None:
    collected = contents()
    value = bytes(200)
    for at in range(REQUEST_ENTRIES_MAX // 2):
        collected.put(b"k%05d" % at, value)
        collected.require(b"k%05d" % at, None)
    call = collected._committed(None)
    assert call is not None
    assert driver.call(call) is True


# ---------------------------------------------------------------- the clients


def test_a_block_commits_what_it_collected(client: Any) -> None:
    with client.batch() as batch:
        batch.put(b"a", b"1")
        batch.delete(b"b")
        assert batch.applied is None
    assert batch.applied is True
    with client.batch(timeout=5) as second:
        second.require(b"a", b"2")
        second.put(b"a", b"3")
    assert second.applied is False
    assert client.get(b"a") == b"1"
    with pytest.raises(InvalidRequest, match="the batch was committed or left already: make another one"):
        second.put(b"a", b"1")


def test_an_exception_drops_the_batch(client: Any) -> None:
    with suppress(KeyError), client.batch() as batch:
        batch.put(b"a", b"1")
        raise KeyError
    assert batch.applied is None
    assert client.get(b"a") is None
    with pytest.raises(InvalidRequest, match="committed or left"):
        batch.commit()


def test_a_batch_may_be_committed_without_a_block(client: Any) -> None:
    batch = client.batch()
    batch.put(b"a", b"1")
    assert batch.commit(timeout=3) is True
    with client.batch() as within:
        within.put(b"a", b"2")
        assert within.commit() is True
    assert (within.applied, client.get(b"a")) == (True, b"2")
    assert client.batch().commit() is True


def test_keys_of_two_ranges_are_refused_at_the_end_of_the_block(client: Any) -> None:
    batch = client.batch().__enter__()
    batch.put(b"a", b"1")
    batch.put(b"\xff", b"1")
    with pytest.raises(InvalidRequest, match="a batch is for keys of one range"):
        batch.__exit__(None, None, None)
    assert client.get_many([b"a", b"\xff"]) == [None, None]


def test_the_asyncio_client_does_the_same(server: Any) -> None:
    async def program() -> None:
        from shardstore import connect_async  # noqa: PLC0415

        async with await connect_async(server.url) as client:
            async with client.batch() as batch:
                batch.put(b"a", b"1")
                batch.require(b"a", None)
            assert batch.applied is True
            with suppress(KeyError):
                async with client.batch() as dropped:
                    dropped.put(b"b", b"1")
                    raise KeyError
            divided = client.batch()
            divided.put(b"a", b"1")
            divided.put(b"\xff", b"1")
            with pytest.raises(InvalidRequest, match="a batch is for keys of one range"):
                await divided.commit()
            explicit = client.batch()
            explicit.require(b"a", None)
            assert await explicit.commit(timeout=3) is False
            assert await client.get_many([b"a", b"b"]) == [b"1", None]

    asyncio.run(program())
