"""Range deletions and counts in a session: one request to each segment, applied once, whatever happens to segments."""

from __future__ import annotations

import pytest

from shardstore.client.calls import operations
from shardstore.client.calls.calls import Call, DeleteRange
from shardstore.client.calls.outcome_token import from_bytes
from shardstore.errors import InvalidRequest, OutcomeUnknown
from shardstore.estimate import Estimate
from shardstore.limits import BOUND_BYTES_MAX, KEY_BYTES_MAX
from shardstore.wire.wire_format import Op
from tests.unit.client.session.session_changes import KEYS, VALUES, late, merge, sent, split
from tests.unit.client.session_driver import SessionDriver, put
from tests.unit.fake_cluster import Lose

EVERY_KEY = [bytes([at]) for at in range(0x10, 0xF0, 4)]


def cleared(start: bytes | None = None, end: bytes | None = None) -> DeleteRange:
    call = operations.delete_range(start, end, None, 30)
    assert call is not None
    return call


def counted(estimates: bool = False) -> Call:
    call = operations.count(None, None, None, estimates, 30)
    assert call is not None
    return call


@pytest.fixture
def filled(driver: SessionDriver) -> SessionDriver:
    driver.cluster.data = dict.fromkeys(EVERY_KEY, b"v")
    return driver


def test_each_segment_gets_its_part_of_the_range_at_once(filled: SessionDriver) -> None:
    call = cleared(b"\x20", b"\x90")
    filled.submit(call)
    messages = [message[1] for message in filled.wire]
    assert len(messages) == len(sent(filled, Op.DELETE_RANGE)) == 3
    bounds = sorted((frames[1], frames[2]) for frames in messages)
    assert bounds == [(b"\x20", b"\x40"), (b"\x40", b"\x80"), (b"\x80", b"\x90")]
    filled.run()
    assert filled.ended[call] is None
    assert sorted(filled.cluster.data) == [key for key in EVERY_KEY if not b"\x20" <= key < b"\x90"]


def test_it_waits_for_its_turn_as_other_writes_do(filled: SessionDriver) -> None:
    put_before, call = put(KEYS[0], b"before"), cleared()
    filled.submit(put_before)
    filled.submit(call)
    filled.submit(put(KEYS[1], b"after"))
    assert [segment for _, segment, _, _ in sent(filled, Op.DELETE_RANGE)].count(2) == 0
    filled.run()
    operations_of_2 = [op for op, keys, _ in filled.cluster.log if op != Op.DELETE_RANGE or KEYS[2] in keys]
    assert operations_of_2 == [Op.PUT, Op.DELETE_RANGE, Op.PUT]
    assert filled.cluster.data == {KEYS[1]: b"after"}


def test_a_lost_reply_does_not_delete_what_was_put_since(filled: SessionDriver) -> None:
    call = cleared(KEYS[0], KEYS[-1])
    filled.cluster.script.append(Lose.REPLY)
    filled.submit(call)
    filled.advance(5_000)
    assert filled.ended[call] is None
    assert len(sent(filled, Op.DELETE_RANGE)) == 2
    assert len([entry for entry in filled.cluster.log if entry[0] == Op.DELETE_RANGE]) == 1


@pytest.mark.parametrize("lost", [False, True], ids=["refused", "reply lost"])
def test_heirs_get_their_shares(filled: SessionDriver, lost: bool) -> None:
    filled.cluster.data = dict(zip(KEYS, VALUES, strict=True))
    call = cleared(KEYS[1], KEYS[-1])
    filled.submit(call)
    if lost:
        late(filled)
    split(filled)
    filled.run()
    filled.advance(5_000)
    assert filled.ended[call] is None
    assert sorted(filled.cluster.data) == [KEYS[0], KEYS[-1]]
    assert {segment for _, segment, _, _ in sent(filled, Op.DELETE_RANGE)} == {2, 5, 6}
    numbers = {sequence for _, segment, sequence, _ in sent(filled, Op.DELETE_RANGE) if segment != 2}
    assert len(numbers) == (1 if lost else 2), "shares of a write that may be applied keep its sequence"


def test_a_share_keeps_to_its_bounds_after_a_merge(filled: SessionDriver) -> None:
    call = cleared(b"\x44", b"\x7c")
    filled.submit(call)
    merge(filled, 2)
    filled.run()
    assert filled.ended[call] is None
    assert sorted(filled.cluster.data) == [key for key in EVERY_KEY if not b"\x44" <= key < b"\x7c"]


def test_what_may_be_done_is_in_the_token(filled: SessionDriver) -> None:
    call = cleared(b"\x50", b"\xa0")
    filled.submit(call)
    filled.silent.update(("router", "worker:0", "worker:1"))
    filled.advance(31_000)
    error = filled.ended[call]
    assert isinstance(error, OutcomeUnknown)
    assert sorted(part.key for part in from_bytes(error.token).parts) == [b"\x50", b"\x80"]


def test_counts_of_all_segments_are_added(filled: SessionDriver) -> None:
    exact, about = counted(), counted(estimates=True)
    filled.submit(exact, about)
    filled.run()
    assert filled.ended[exact] == Estimate(len(EVERY_KEY), 10 * len(EVERY_KEY), 0)
    assert filled.ended[about] == Estimate(len(EVERY_KEY), 10 * len(EVERY_KEY), len(sent(filled, Op.COUNT)) // 2)


def test_a_count_goes_on_with_the_heirs(filled: SessionDriver) -> None:
    call = counted()
    filled.submit(call)
    split(filled)
    filled.run()
    assert filled.ended[call].entries == len(EVERY_KEY)  # type: ignore[union-attr]


def test_a_count_of_a_part_stays_one_of_that_part(filled: SessionDriver) -> None:
    """Its range is merged with a neighbour, which is counted by a request of its own, and then split again."""
    call = counted()
    filled.submit(call)
    merge(filled, 2)
    filled.deliver(len(filled.wire))  # the refusals of the former owners, after which the new one is asked
    merged = filled.cluster.route_map.route_of(KEYS[0]).segment
    filled.cluster.split(merged, b"\x60", [0, 1])
    filled.cluster.fence()
    filled.receive(filled.cluster.broadcast())
    filled.run()
    filled.advance(5_000)
    assert filled.ended[call].entries == len(EVERY_KEY)  # type: ignore[union-attr]


def test_a_range_without_a_possible_key_needs_no_request() -> None:
    top = b"\xff" * KEY_BYTES_MAX + b"\0"
    for start, end in ((b"a", b"a"), (b"", b""), (None, b""), (top, None)):
        assert operations.delete_range(start, end, None, None) is None
    assert operations.count(b"b", b"a", None, False, None) is None
    long = b"a" * KEY_BYTES_MAX
    call = operations.delete_range(long + b"\0", None, None, None)
    assert call is not None
    assert call.start == long[:-1] + b"b"
    assert len(call.start) < BOUND_BYTES_MAX


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [(b"b", b"a", "start b'b' is behind end b'a'"), (b"b", b"", "start b'b' is behind end b''")],
)
def test_a_removal_from_behind_its_end_is_refused(start: bytes, end: bytes, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        operations.delete_range(start, end, None, None)
    assert str(caught.value) == said
    assert operations.count(start, end, None, False, None) is None, "who reads sees that there is nothing"


def test_a_prefix_is_wanted() -> None:
    with pytest.raises(InvalidRequest):
        operations.delete_prefix(None, None)
    call = operations.delete_prefix(b"user/", None)
    assert call is not None
    assert (call.start, call.end) == (b"user/", b"user0")
