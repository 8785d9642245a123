"""The session when ranges are split, merged or moved: its requests, their numbers, and when it sends them."""

from __future__ import annotations

import pytest

from shardstore.client.calls.calls import GetStats, Maintain
from shardstore.client.calls.outcome_token import from_bytes
from shardstore.errors import Busy, OutcomeUnknown, Unavailable
from shardstore.limits import MILLISECOND_NS
from shardstore.wire.wire_format import Flag, Header, Op, Status
from tests.unit.client.session.session_changes import KEYS, VALUES, late, merge, sent, split
from tests.unit.client.session_driver import TIMEOUT_NS, SessionDriver, get, get_many, put, put_many
from tests.unit.fake_cluster import Lose, Refuse

# Waiting requests


@pytest.mark.fault("H4")
def test_what_waits_goes_to_the_owners_of_its_keys(driver: SessionDriver) -> None:
    driver.submit(put_many(KEYS, [b"1"] * len(KEYS)))
    singles = [put(KEYS[0], b"3"), put(KEYS[-1], b"3")]
    calls = [put_many(KEYS, [b"2"] * len(KEYS)), *singles, put_many(KEYS[8:], VALUES[8:])]
    driver.submit(*calls)
    answer = late(driver)
    split(driver)
    driver.receive(answer, "worker:0")
    driver.run()
    segments = [segment for _, segment, _, _ in sent(driver, Op.PUT)]
    assert (segments[0], sorted(segments[1:])) == (2, [5, 5, 6, 6, 6])
    assert {driver.ended[call] for call in calls} == {None}
    low, high = driver.cluster.data[KEYS[0]], driver.cluster.data[KEYS[-1]]
    assert (low, high) == (b"3", VALUES[-1])
    assert [values for _, _, values in driver.cluster.log[1:3]] == [[b"2"] * 8] * 2


def test_values_come_back_in_the_order_of_the_call_after_two_changes(driver: SessionDriver) -> None:
    driver.cluster.data = dict(zip(KEYS, VALUES, strict=True))
    mixed = KEYS[::2] + KEYS[1::2] + [b"\xff", b"\x01"]
    call = get_many(mixed)
    driver.submit(call)
    driver.cluster.split(2, b"\x60", [0, 1])
    driver.cluster.fence()
    split_again = [message for message in driver.wire if message[0] == "worker:0"]
    driver.run()
    assert split_again
    assert driver.ended[call] == [*VALUES[::2], *VALUES[1::2], None, None]
    call = get_many(mixed)
    driver.submit(call)
    driver.cluster.split(6, b"\x70", [1, 0])
    driver.cluster.split(5, b"\x50", [1, 0])
    driver.cluster.fence()
    driver.run()
    assert driver.ended[call] == [*VALUES[::2], *VALUES[1::2], None, None]


@pytest.mark.parametrize("values_max", [1, 3])
def test_the_rest_of_an_answer_in_parts_is_asked_of_the_owners(driver: SessionDriver, values_max: int) -> None:
    driver.cluster.values_max = values_max
    driver.cluster.data = dict(zip(KEYS, VALUES, strict=True))
    calls = [get_many(KEYS[::-1]), get(KEYS[0]), get(KEYS[-1])]
    driver.submit(*calls)
    answers = [late(driver), late(driver)]
    split(driver)
    for answer in answers:
        driver.receive(answer, "worker:0")
    driver.run()
    assert [driver.ended[call] for call in calls] == [VALUES[::-1], VALUES[0], VALUES[-1]]
    assert {segment for _, segment, _, _ in sent(driver, Op.GET)[2:]} == {5, 6}


# Requests under way


@pytest.mark.parametrize("many", [False, True])
def test_a_write_refused_by_the_former_owner_is_new_to_its_heirs(driver: SessionDriver, many: bool) -> None:
    calls = [put_many(KEYS, VALUES)] if many else [put(key, value) for key, value in zip(KEYS, VALUES, strict=True)]
    driver.submit(*calls)
    split(driver)
    driver.run()
    assert sorted(segment for _, segment, _, _ in sent(driver, Op.PUT)) == [2, 5, 6]
    assert [(sequence, retry) for *_, sequence, retry in sent(driver, Op.PUT)] == [(1, False), (2, False), (3, False)]
    assert {driver.ended[call] for call in calls} == {None}
    assert driver.cluster.data == dict(zip(KEYS, VALUES, strict=True))


def test_a_write_that_was_left_is_not_sent_under_another_number(driver: SessionDriver) -> None:
    """The token names the sequence under which it was sent, and the outcome is that it was not applied."""
    calls = [put(key, value) for key, value in zip(KEYS, VALUES, strict=True)]
    driver.submit(*calls)
    for left in calls[1], calls[-1]:
        driver.abandon(left)
    split(driver)
    driver.run()
    written = [*range(len(KEYS))]
    del written[1], written[-1]
    assert driver.cluster.data == {KEYS[at]: VALUES[at] for at in written}


@pytest.mark.parametrize("lost", [Lose.REQUEST, Lose.REPLY])
@pytest.mark.parametrize("many", [False, True])
def test_a_write_that_may_be_applied_goes_on_as_a_retry_of_each_part(
    driver: SessionDriver, lost: Lose, many: bool
) -> None:
    driver.cluster.script.append(lost)
    calls = [put_many(KEYS, VALUES)] if many else [put(key, value) for key, value in zip(KEYS, VALUES, strict=True)]
    driver.submit(*calls)
    driver.run()
    later = put(KEYS[0], b"later")
    split(driver)
    driver.call(later)
    assert later not in driver.ended, "it does not overtake"
    driver.advance(1_100)
    assert sorted(sent(driver, Op.PUT)[1:3]) == [("router", 5, 1, True), ("worker:1", 6, 1, True)]
    assert {driver.ended[call] for call in [*calls, later]} == {None}
    assert driver.cluster.data == dict(zip(KEYS, VALUES, strict=True)) | {KEYS[0]: b"later"}
    assert sum(len(keys) for _, keys, _ in driver.cluster.log) == len(KEYS) + 1


def test_the_answer_of_the_former_owner_counts(driver: SessionDriver) -> None:
    call = put_many(KEYS, VALUES)
    driver.submit(call)
    answer = late(driver)
    split(driver)
    behind = put(KEYS[-1], b"behind")
    driver.call(behind)
    assert len(sent(driver, Op.PUT)) == 1
    driver.receive(answer, "worker:0")
    assert driver.ended[call] is None
    driver.run()
    assert driver.ended[behind] is None
    assert sent(driver, Op.PUT)[1:] == [("worker:1", 6, 2, False)]


def test_a_share_that_is_lost_is_shared_out_again(driver: SessionDriver) -> None:
    driver.cluster.script.append(Lose.REPLY)
    call = put_many(KEYS, VALUES)
    driver.call(call)
    split(driver)
    driver.cluster.script.extend([None, Lose.REPLY])
    driver.advance(1_050)
    driver.cluster.split(5, b"\x50", [0, 1])
    driver.cluster.fence()
    driver.receive(driver.cluster.broadcast())
    driver.advance(3_100)
    assert driver.ended[call] is None
    retries = [(segment, sequence) for _, segment, sequence, retry in sent(driver, Op.PUT) if retry]
    assert sorted(retries) == [(5, 1), (6, 1), (7, 1), (8, 1)]
    assert len(driver.cluster.log) == 1


def test_each_share_in_doubt_is_asked_for_by_a_key_of_its_own(driver: SessionDriver) -> None:
    driver.cluster.script.extend([Lose.REQUEST] * 100)
    call = put_many(KEYS, VALUES)
    driver.call(call)
    split(driver)
    driver.advance(TIMEOUT_NS // MILLISECOND_NS + 10)
    unknown = driver.ended[call]
    assert isinstance(unknown, OutcomeUnknown)
    left, right = sorted(from_bytes(unknown.token).parts, key=lambda part: part.key)
    assert left.key in KEYS
    assert right.key in KEYS
    assert left.key < b"\x60" <= right.key
    assert left.sequence == right.sequence
    assert (left.elsewhere, right.elsewhere) == ([b"\x60", b"\x80"], [b"\x40", b"\x60"])


def test_two_open_writes_that_meet_go_in_the_order_of_their_sequences(driver: SessionDriver) -> None:
    driver.cluster.script.extend([Lose.REQUEST, Lose.REQUEST])
    calls = [put(b"\x81", b"1"), put(b"\x41", b"2")]
    for call in calls:
        driver.call(call)
    merge(driver, 2)
    driver.advance(1_100)
    assert [(segment, sequence) for _, segment, sequence, _ in sent(driver, Op.PUT)[2:]] == [(5, 1), (5, 2)]
    assert [driver.ended[call] for call in calls] == [None, None]


def test_an_open_write_older_than_one_that_was_applied_is_unknown_after_a_merge(driver: SessionDriver) -> None:
    driver.cluster.script.append(Lose.REQUEST)
    older = put(b"\x41", b"1")
    driver.call(older)
    assert driver.call(put(b"\x81", b"2")) is None
    merge(driver, 2)
    driver.advance(1_100)
    assert isinstance(driver.ended[older], OutcomeUnknown)
    assert b"\x41" not in driver.cluster.data


@pytest.mark.parametrize("lost", [Lose.REQUEST, Lose.REPLY])
def test_a_share_cannot_be_told_once_shares_have_merged_again(driver: SessionDriver, lost: Lose) -> None:
    """The merged segment knows the sequence of the write, which only one of the shares may have used."""
    driver.cluster.script.append(Lose.REQUEST)
    call = put_many(KEYS, VALUES)
    driver.call(call)
    split(driver)
    driver.cluster.script.extend([lost, None])
    driver.advance(1_050)
    merge(driver, 5)
    driver.advance(3_000)
    assert isinstance(driver.ended[call], OutcomeUnknown)
    written = [key for _, keys, _ in driver.cluster.log for key in keys]
    assert len(written) == len(set(written)) == (8 if lost is Lose.REQUEST else 16)
    assert driver.call(put(KEYS[0], b"goes on")) is None


@pytest.mark.parametrize("lost", [Lose.REQUEST, Lose.REPLY])
def test_a_write_with_all_its_keys_in_one_heir_is_told_after_any_changes(driver: SessionDriver, lost: Lose) -> None:
    driver.cluster.script.append(Lose.REQUEST)
    call = put_many(KEYS[:3], VALUES[:3])
    driver.call(call)
    split(driver)
    driver.cluster.script.append(lost)
    driver.advance(1_050)
    merge(driver, 5)
    driver.advance(3_000)
    assert driver.ended[call] is None
    assert len(driver.cluster.log) == 1


def test_a_write_is_delayed_for_a_few_milliseconds_by_heirs_that_do_not_serve_yet(driver: SessionDriver) -> None:
    driver.cluster.split(2, b"\x60", [0, 1])
    driver.receive(driver.cluster.broadcast())
    call = put(KEYS[0], b"v")
    driver.call(call)
    driver.advance(8)
    assert call not in driver.ended
    driver.cluster.fence()
    driver.advance(12)
    assert driver.ended[call] is None
    assert len(sent(driver, Op.PUT)) < 6
    assert not any(retry for *_, retry in sent(driver, Op.PUT))


def test_heirs_that_never_serve_cost_a_call_its_deadline_and_no_storm(driver: SessionDriver) -> None:
    driver.cluster.split(2, b"\x60", [0, 1])
    driver.receive(driver.cluster.broadcast())
    call = put(KEYS[0], b"v", timeout_ns=5_000 * MILLISECOND_NS)
    driver.call(call)
    driver.advance(5_100)
    assert isinstance(driver.ended[call], Unavailable)
    assert 10 < len(sent(driver, Op.PUT)) < 30


def test_a_refused_write_that_waits_for_room_goes_to_the_heirs(driver: SessionDriver) -> None:
    driver.cluster.script.append(Refuse(Status.BUSY, 500))
    calls = [put(KEYS[0]), put(KEYS[-1])]
    driver.submit(*calls)
    driver.run()
    split(driver)
    driver.run()
    assert {driver.ended[call] for call in calls} == {None}
    assert not any(retry for *_, retry in sent(driver, Op.PUT))


def test_what_was_sent_over_a_dropped_link_to_a_former_owner_goes_to_the_heirs(driver: SessionDriver) -> None:
    driver.cluster.script.append(Lose.REPLY)
    call = put_many(KEYS, VALUES)
    driver.call(call)
    driver.cluster.endpoints[0] = "unix://elsewhere"
    split(driver)
    driver.run()
    assert driver.ended[call] is None
    assert len(driver.cluster.log) == 1


def test_a_call_that_is_over_is_not_handed_on(driver: SessionDriver) -> None:
    driver.cluster.script.append(Lose.REQUEST)
    calls = [put(KEYS[0], timeout_ns=MILLISECOND_NS * 100), put_many(KEYS, VALUES, MILLISECOND_NS * 100)]
    for call in calls:
        driver.call(call)
    driver.advance(200)
    split(driver)
    driver.advance(5_000)
    assert len(sent(driver, Op.PUT)) == 1
    assert [type(driver.ended[call]) for call in calls] == [OutcomeUnknown, Unavailable]
    assert driver.session._sender.requests() == []
    assert driver.call(put(KEYS[0], b"goes on")) is None


def test_a_worker_that_has_lost_its_ranges_can_still_move_its_endpoint(driver: SessionDriver) -> None:
    for segment in (1, 2):
        driver.cluster.move(segment, 1)
    driver.receive(driver.cluster.broadcast())
    assert driver.links["worker:0"] == "unix://worker-0"
    driver.cluster.down.add(0)
    driver.receive(driver.cluster.broadcast())
    assert "worker:0" not in driver.links


# Barriers and statistics


@pytest.mark.parametrize("flags", [0, Flag.NO_WAIT])
def test_a_barrier_goes_to_the_heirs(driver: SessionDriver, flags: int) -> None:
    call = Maintain(TIMEOUT_NS, Op.FLUSH, b"\x50", b"\x90", flags=flags)
    driver.submit(call)
    split(driver)
    driver.run()
    assert driver.ended[call] is None
    assert sorted(segment for _, segment, _, _ in sent(driver, Op.FLUSH)) == [2, 3, 5, 6]


def test_a_barrier_asks_only_heirs_with_its_keys(driver: SessionDriver) -> None:
    call = Maintain(TIMEOUT_NS, Op.COMPACT, b"\x61", b"\x62")
    driver.submit(call)
    split(driver)
    driver.run()
    assert driver.ended[call] is None
    assert [segment for _, segment, _, _ in sent(driver, Op.COMPACT)] == [2, 6]


def test_a_barrier_asks_a_merged_segment_once(driver: SessionDriver) -> None:
    call = Maintain(TIMEOUT_NS, Op.FLUSH, flags=Flag.NO_WAIT)
    driver.submit(call)
    merge(driver, 2)
    driver.run()
    assert driver.ended[call] is None
    assert sorted(segment for _, segment, _, _ in sent(driver, Op.FLUSH)) == [1, 2, 3, 4, 5]


def test_statistics_are_asked_of_the_same_worker(driver: SessionDriver) -> None:
    call = GetStats(TIMEOUT_NS)
    driver.submit(call)
    driver.cluster.split(1, b"\x20", [1, 0])
    driver.cluster.fence()
    driver.run()
    assert driver.ended[call] == {"router": {"role": "router"}, 0: {"worker": 0}, 1: {"worker": 1}}


def test_a_worker_that_has_no_range_any_more_gives_its_statistics_too(driver: SessionDriver) -> None:
    call = GetStats(TIMEOUT_NS)
    driver.submit(call)
    for segment in (1, 2):
        driver.cluster.move(segment, 1)
    driver.cluster.fence()
    driver.run()
    assert driver.ended[call] == {"router": {"role": "router"}, 0: {"worker": 0}, 1: {"worker": 1}}
    assert driver.call(GetStats(TIMEOUT_NS)) == driver.ended[call]


def test_busy_heirs_are_named_at_the_deadline(driver: SessionDriver) -> None:
    split(driver)
    driver.cluster.script.extend([Refuse(Status.BUSY, 50)] * 100)
    call = put(KEYS[0], timeout_ns=500 * MILLISECOND_NS)
    driver.call(call)
    driver.advance(600)
    assert isinstance(driver.ended[call], Busy)


def test_headers_of_two_shares_differ_in_their_segment_only(driver: SessionDriver) -> None:
    """Their replies are distinguished by it."""
    driver.cluster.script.append(Lose.REPLY)
    call = put_many(KEYS, VALUES)
    driver.call(call)
    split(driver)
    driver.silent |= {"router", "worker:1"}
    driver.advance(1_050)
    shares: list[Header] = [header for _, header in driver.sent if header.flags & Flag.RETRY]
    assert len({header.sequence for header in shares}) == 1
    first, second = shares
    for _ in range(2):
        driver.receive([first.reply(Status.OK).encode()], "worker:1")
    assert call not in driver.ended
    driver.receive([second.reply(Status.OK).encode()], "worker:1")
    assert driver.ended[call] is None
