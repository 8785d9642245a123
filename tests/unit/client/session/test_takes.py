"""Takes in a session: range after range, exactly once, also when ranges change."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shardstore.client.calls import operations
from shardstore.client.calls.calls import Take
from shardstore.client.calls.outcome_token import from_bytes
from shardstore.errors import InvalidRequest, OutcomeUnknown
from shardstore.outcome import Ending
from shardstore.wire.messages import Refusal
from shardstore.wire.wire_format import Header, Op, Status
from tests.unit.client.session.session_changes import KEYS, late, merge, sent, split
from tests.unit.client.session_driver import TIMEOUT_NS, SessionDriver, put
from tests.unit.fake_cluster import Lose, Refuse

LOW, HIGH = KEYS[0], KEYS[-1]


def take(start: bytes = b"", end: bytes = b"", reverse: bool = False) -> Take:
    return Take(TIMEOUT_NS, start, end, reverse)


def asked(driver: SessionDriver) -> list[int]:
    """The segments asked, in order."""
    return [segment for _, segment, _, _ in sent(driver, Op.TAKE)]


def outcome(driver: SessionDriver, error: OutcomeUnknown) -> Ending:
    token = from_bytes(error.token)
    return token.outcome([driver.call(call) for call in operations.outcome(token, 10)]).state


@pytest.mark.parametrize(
    ("call", "entry", "segments"),
    [
        (take(), b"\x85", [1, 2, 3]),
        (take(reverse=True), b"\xd0", [4]),
        (take(end=b"\x85"), None, [1, 2, 3]),
        (take(start=b"\x40", end=b"\x80"), None, [2]),
        (take(start=b"\x40", end=b"\x80", reverse=True), None, [2]),
        (take(start=b"\x90", end=b"\xd0", reverse=True), b"\x99", [4, 3]),
        (take(start=b"\x9a"), b"\xd0", [3, 4]),
        (take(start=b"\xe0"), None, [4]),
        (take(end=b"\x20", reverse=True), None, [1]),
        (take(end=b"\x80", reverse=True), None, [2, 1]),
    ],
)
def test_ranges_are_asked_until_one_has_an_entry(
    driver: SessionDriver, call: Take, entry: bytes | None, segments: list[int]
) -> None:
    driver.cluster.data = {b"\x85": b"1", b"\x99": b"2", b"\xd0": b"3"}
    again = take(call.start, call.end, call.reverse)
    expected = entry and (entry, driver.cluster.data[entry])
    assert driver.call(again) == expected
    assert asked(driver) == segments
    assert (entry in driver.cluster.data) is False or entry is None


@pytest.mark.parametrize("lost", [Lose.REQUEST, Lose.REPLY])
@pytest.mark.parametrize("position", [0, 2])
def test_a_retry_gets_the_same_entry(driver: SessionDriver, lost: Lose, position: int) -> None:
    driver.cluster.data = {b"\x85": b"1", b"\x99": b"2"}
    driver.cluster.script.extend([*[None] * position, lost])
    call = take()
    driver.call(call)
    driver.advance(3_000)
    assert driver.ended[call] == (b"\x85", b"1")
    assert driver.cluster.data == {b"\x99": b"2"}
    assert len(driver.cluster.log) == 1


@pytest.mark.parametrize(("lost", "ending"), [(Lose.REPLY, Ending.APPLIED), (Lose.REQUEST, Ending.NOT_APPLIED)])
@pytest.mark.parametrize("key", [b"\x01", b"\x85"])
def test_the_outcome_of_a_take_can_be_asked(driver: SessionDriver, lost: Lose, ending: Ending, key: bytes) -> None:
    driver.cluster.data = {key: b"1"}
    nothing_before = 2 if key > b"\x80" else 0
    driver.cluster.script.extend([*[None] * nothing_before, lost, *[Lose.REQUEST] * 20])
    call = take()
    driver.call(call)
    driver.advance(10_010)
    error = driver.ended[call]
    assert type(error) is OutcomeUnknown
    driver.cluster.script.clear()
    assert outcome(driver, error) is ending


def test_an_entry_that_is_too_large_is_an_invalid_request(driver: SessionDriver) -> None:
    driver.cluster.script.append(Refuse(Status.INVALID, 0, Refusal("too large")))
    assert isinstance(driver.call(take()), InvalidRequest)


@pytest.mark.parametrize("body", [[b"", b"v"], [b"k" * 4_097, b"v"]])
def test_a_reply_that_makes_no_sense_is_ignored(driver: SessionDriver, body: list[bytes]) -> None:
    call = take()
    driver.submit(call)
    header = driver.sent[-1][1]
    reply = header.reply(Status.OK, entries=1).encode()
    driver.receive([reply, *body], "worker:0")
    assert driver.session.malformed == 1
    driver.run()
    assert driver.ended[call] is None


def test_takes_are_writes_one_at_a_time(driver: SessionDriver) -> None:
    driver.cluster.data = {b"a": b"1"}
    calls = [put(b"b", b"2"), take(b"a", b"c"), take(b"a", b"c"), take(b"a", b"c")]
    driver.submit(*calls)
    assert len(driver.wire) == 1
    driver.run()
    assert [driver.ended[call] for call in calls] == [None, (b"a", b"1"), (b"b", b"2"), None]


# ---------------------------------------------------------------- changes of ranges


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lost", [Lose.REQUEST, Lose.REPLY, None])
@pytest.mark.parametrize("key", [LOW, HIGH, None])
def test_a_take_of_a_split_range_is_taken_once(
    driver: SessionDriver, reverse: bool, lost: Lose | None, key: bytes | None
) -> None:
    driver.cluster.data = {key: b"1"} if key else {}
    driver.cluster.script.append(lost)
    call = take(b"\x40", b"\x80", reverse)
    if lost is None:
        driver.submit(call)
        split(driver)
        driver.run()
    else:
        driver.call(call)
        split(driver)
        driver.advance(5_000)
    assert driver.ended[call] == (key and (key, b"1"))
    assert len(driver.cluster.log) == (key is not None)
    assert driver.cluster.data == {}
    assert driver.call(put(HIGH)) is None
    assert driver.call(put(LOW)) is None


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lost", [Lose.REQUEST, Lose.REPLY])
@pytest.mark.parametrize("key", [b"\x41", b"\x90"])
def test_what_a_merged_range_knows_of_one_parent_is_said_of_no_other(
    driver: SessionDriver, reverse: bool, lost: Lose, key: bytes
) -> None:
    """The range asked first had nothing. Its retry comes to a range with more keys, which were not asked yet."""
    driver.cluster.script.append(lost)
    call = take(b"\x40", b"\xc0", reverse)
    driver.call(call)
    driver.cluster.data = {key: b"1"}
    merge(driver, 2)
    driver.advance(5_000)
    asked_first = b"\x90" if reverse else b"\x41"
    if lost is Lose.REPLY and key == asked_first:  # it came after the answer
        assert driver.ended[call] in (None, (key, b"1"))
    else:
        assert driver.ended[call] == (key, b"1")


def test_a_reply_of_a_former_owner_still_counts(driver: SessionDriver) -> None:
    driver.cluster.data = {b"\x90": b"1"}
    call = take(b"\x40")
    driver.submit(call)
    answer = late(driver)
    split(driver)
    driver.receive(answer, "worker:0")
    driver.run()
    assert driver.ended[call] == (b"\x90", b"1")
    assert asked(driver) == [2, 3]


def test_the_token_of_a_share_names_a_key_of_the_heir(driver: SessionDriver) -> None:
    driver.cluster.data = {HIGH: b"1"}
    driver.cluster.script.append(Lose.REPLY)
    call = take(b"\x70")
    driver.call(call)
    split(driver)
    driver.cluster.script.extend([Lose.REQUEST] * 50)
    driver.advance(10_010)
    error = driver.ended[call]
    assert type(error) is OutcomeUnknown
    assert [part.key for part in from_bytes(error.token).parts] == [b"\x60"]
    driver.cluster.script.clear()
    assert outcome(driver, error) is Ending.APPLIED


# ---------------------------------------------------------------- arguments and clients


@pytest.mark.parametrize(
    ("arguments", "bounds"),
    [
        ((None, None, None), (b"", b"")),
        ((b"a", b"b", None), (b"a", b"b")),
        ((None, None, b"p"), (b"p", b"q")),
        ((b"pa", b"z", b"p"), (b"pa", b"q")),
        ((b"b", b"a", None), None),
        ((b"b", b"b", None), None),
        ((None, b"", None), None),
        ((b"q", None, b"p"), None),
    ],
)
def test_bounds_are_those_of_a_scan(arguments: tuple[Any, ...], bounds: tuple[bytes, bytes] | None) -> None:
    call = operations.take(*arguments, False, None)
    assert (call and (call.start, call.end)) == bounds


def test_the_blocking_client_pops(client: Any) -> None:
    client.put_many({b"q1": b"1", b"q2": b"2", b"r": b"3", b"\xf0": b"4"})
    assert client.pop_first(prefix=b"q") == (b"q1", b"1")
    assert client.pop_last(b"a", b"s") == (b"r", b"3")
    assert client.pop_last(timeout=5) == (b"\xf0", b"4")
    assert client.pop_first(b"r", b"q") is None
    assert [client.pop_first(), client.pop_first(), client.pop_last()] == [(b"q2", b"2"), None, None]


def test_the_asyncio_client_pops(server: Any) -> None:
    async def program() -> None:
        from shardstore import connect_async  # noqa: PLC0415

        async with await connect_async(server.url) as client:
            await client.put_many({b"q1": b"1", b"q2": b"2", b"\xf0": b"4"})
            assert await client.pop_last() == (b"\xf0", b"4")
            popped = await asyncio.gather(*[client.pop_first() for _ in range(3)])
            assert sorted(popped, key=str) == [(b"q1", b"1"), (b"q2", b"2"), None]
            assert await client.pop_first(b"b", b"a") is None

    asyncio.run(program())


def test_a_cancelled_take_can_be_asked_for(driver: SessionDriver) -> None:
    driver.cluster.data = {b"\x01": b"1"}
    driver.cluster.script.append(Lose.REPLY)
    call = take()
    driver.submit(call)
    driver.run()
    token = driver.session.interrupted(call, "cancelled")
    assert isinstance(token, OutcomeUnknown)
    driver.abandon(call)
    assert outcome(SessionDriver(driver.cluster), token) is Ending.APPLIED


def test_the_header_of_a_take_counts_no_keys(driver: SessionDriver) -> None:
    driver.submit(take())
    header: Header = driver.sent[-1][1]
    assert (header.op, header.entries) == (Op.TAKE, 0)
