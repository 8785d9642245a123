"""What the classes of a session promise is checked: the check finds each promise that is broken by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shardstore.client.session.lane_map import LaneMap
from shardstore.client.session.lanes import Channel, Lane, Request, RequestState
from shardstore.client.session.sender import Sender
from shardstore.client.session.timers import Timed, Timers
from shardstore.key_range import EVERYTHING
from tests.unit.client.session.session_changes import KEYS, merge
from tests.unit.client.session_driver import SessionDriver, put, put_many

Break = Callable[[SessionDriver], object]
NOWHERE = Lane(9, EVERYTHING, None, Channel("nowhere"))


@pytest.fixture
def driver(driver: SessionDriver) -> SessionDriver:
    """A session with two writes to one segment: the first is SENT, the second waits for its turn."""
    driver.submit(put_many(KEYS, KEYS))
    driver.submit(put_many(KEYS, KEYS))
    return driver


def sender(driver: SessionDriver) -> Sender:
    return driver.session._sender


def request(driver: SessionDriver) -> Request:
    (request,) = sender(driver).requests()
    return request


def lane(driver: SessionDriver) -> Lane:
    return request(driver).lane


def channel(driver: SessionDriver) -> Channel:
    return lane(driver).channel


def timers(driver: SessionDriver) -> Timers:
    return driver.session._timers


def routing(driver: SessionDriver) -> LaneMap:
    return driver.session._lane_map


def without_timer(driver: SessionDriver, item: Timed) -> None:
    driver.session._timers.clear(item)


def behind_another(driver: SessionDriver) -> None:
    (waiting,) = lane(driver).writes
    assert isinstance(waiting, Request)
    lane(driver).turns.insert(0, waiting)


BREAKS: dict[str, Break] = {
    # Timers
    "a tick is missing in the heap": lambda driver: timers(driver)._ticks.pop(),
    "a tick is in the heap twice": lambda driver: timers(driver)._ticks.append(timers(driver)._ticks[-1]),
    "the heap is out of order": lambda driver: timers(driver)._ticks.sort(reverse=True),
    "an item has a timer that it does not know": lambda driver: setattr(request(driver), "due_tick", 1),
    # LaneMap
    "the lanes are not those of the map": lambda driver: routing(driver).lanes.reverse(),
    "a lane is of another segment": lambda driver: setattr(lane(driver), "segment", 9),
    "keys are looked up in another map": lambda driver: setattr(routing(driver), "_starts", (b"",)),
    "lanes have other keys than their routes": lambda driver: setattr(lane(driver), "key_range", EVERYTHING),
    "a lane has the channel of another worker": lambda driver: setattr(lane(driver), "channel", NOWHERE.channel),
    "a worker has no channel": lambda driver: routing(driver)._workers.add(99),
    # Sender
    "credits in use are miscounted": lambda driver: setattr(channel(driver), "in_flight", 2),
    "barriers without a credit are miscounted": lambda driver: setattr(channel(driver), "barriers_free", 1),
    "a request is kept in a wrong place": lambda driver: setattr(request(driver), "sequence", 99),
    "a request that is DONE is kept": lambda driver: (
        setattr(channel(driver), "in_flight", 0),
        lane(driver).turns.clear(),
        setattr(request(driver), "state", RequestState.DONE),
        lane(driver).writes.clear(),
    ),
    "a write has lost its turn": lambda driver: (lane(driver).turns.clear(), lane(driver).writes.clear()),
    "a write was sent before its turn": behind_another,
    "a request under way has no timer": lambda driver: without_timer(driver, request(driver)),
    "a call that waits for a request has no timer": lambda driver: without_timer(driver, request(driver).calls[0]),
    # Channel
    "a link that is not connected is trusted": lambda driver: setattr(channel(driver), "connected", False),
    "a link without trust would never be tried again": lambda driver: setattr(channel(driver), "direct", False),
    "a lane is ready that was not offered": lambda driver: channel(driver).ready.append(NOWHERE),
    "a lane waits though there is a credit": lambda driver: sender(driver).offer(lane(driver)),
    # Lane
    "a pause would never end": lambda driver: setattr(lane(driver), "paused", True),
    "a lane that has something to send is not offered": lambda driver: lane(driver).retries.append(request(driver)),
    "a lane waits in its channel without an offer, or twice": lambda driver: setattr(lane(driver), "offered", True),
    "a turn is not that of a write under way": lambda driver: lane(driver).turns.append(request(driver)),
}
"""What breaks a promise, by the words with which the check fails."""


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_is_found(driver: SessionDriver, what: str) -> None:
    driver.session.check_invariants()
    BREAKS[what](driver)
    with pytest.raises(AssertionError, match=what):
        driver.session.check_invariants()


def test_a_request_that_was_sent_alone_has_somebody_who_looks_after_it(driver: SessionDriver) -> None:
    driver.run()
    driver.submit(put(b"k"))
    assert request(driver).alone
    assert not request(driver).due_tick
    driver.session.check_invariants()
    without_timer(driver, sender(driver))
    with pytest.raises(AssertionError, match="nobody looks after"):
        driver.session.check_invariants()


def test_a_write_to_a_former_segment_may_be_sent_and_not_be_the_first_of_its_heir(driver: SessionDriver) -> None:
    driver.submit(put(b"\x80"))
    merge(driver, 2)
    heir = driver.session._lane_map.lane_of(KEYS[0])
    assert [turn.state for turn in heir.turns] == [RequestState.SENT] * 2
    driver.session.check_invariants()
    driver.run()
    assert len(driver.ended) == 4
