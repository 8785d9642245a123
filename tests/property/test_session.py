"""Whatever is lost, late, refused or moved: every call ends once and applies its write as often as it reports, writes
of one key keep the order of their calls, and all credits are returned."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardstore.client.calls import operations
from shardstore.client.calls.calls import Call, Many, Single
from shardstore.client.session.lanes import RequestState
from shardstore.errors import Busy, OutcomeUnknown, Unavailable
from shardstore.limits import MILLISECOND_NS
from shardstore.wire.wire_format import Op, Status
from tests.unit.client.session_driver import SessionDriver, delete, get, get_many, put, put_many
from tests.unit.fake_cluster import FakeCluster, Lose, Refuse

KEYS = [b"\x01", b"\x02", b"\x41", b"\x81", b"\xc1"]
COUNTERS = [b"\x01n", b"\xc1n"]
FATES = [
    Lose.REQUEST,
    Lose.REPLY,
    Refuse(Status.BUSY, 20),
    Refuse(Status.UNAVAILABLE, 50),
    Refuse(Status.UNKNOWN),
    Refuse(Status.STALE_ROUTE),
    Refuse(Status.CLOSED),
]
ACTIONS = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(KEYS), st.sampled_from([50, 20_000])),
    st.tuples(st.just("puts"), st.lists(st.sampled_from(KEYS), min_size=2, max_size=6)),
    st.tuples(st.just("put many"), st.lists(st.sampled_from(KEYS), min_size=1, max_size=6)),
    st.tuples(st.just("increment"), st.sampled_from(COUNTERS), st.sampled_from([50, 20_000])),
    st.tuples(st.just("delete"), st.sampled_from(KEYS)),
    st.tuples(st.just("get"), st.sampled_from(KEYS)),
    st.tuples(st.just("get many"), st.lists(st.sampled_from(KEYS), min_size=1, max_size=6)),
    st.tuples(st.just("fate"), st.sampled_from(FATES)),
    st.tuples(st.just("deliver"), st.sampled_from(["router", "worker:0", "worker:1"])),
    st.tuples(st.just("deliver"), st.sampled_from(["router", "worker:0", "worker:1"])),
    st.tuples(st.just("wait"), st.sampled_from([1, 30, 300, 1_100])),
    st.tuples(st.just("restart"), st.sampled_from([0, 1])),
    st.tuples(st.just("move"), st.sampled_from([1, 2, 3, 4]), st.sampled_from([0, 1])),
    st.tuples(st.just("broadcast")),
    st.tuples(st.just("credits"), st.sampled_from([1, 2, 16])),
    st.tuples(st.just("abandon")),
)


class World:
    """A session, its cluster, and the calls made. Every value is written by only one call."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.driver = SessionDriver(self.cluster)
        self.calls: list[Call] = []
        self.abandoned: set[Call] = set()
        self.values = map(str.encode, map(str, count()))

    def run(self, actions: list[tuple[Any, ...]]) -> None:
        """Run all steps, and then let all calls end."""
        for action in actions:
            self.act(action)
            self.check_credits()
        self.finish()
        self.check_credits()

    def act(self, action: tuple[Any, ...]) -> None:
        match action:
            case ("put", key, timeout_ms):
                self.submit(put(key, next(self.values), timeout_ms * MILLISECOND_NS))
            case ("puts", keys):
                calls = [put(key, next(self.values), 60 * at * MILLISECOND_NS) for at, key in enumerate(keys, 1)]
                self.calls += calls
                self.driver.submit(*calls)
            case ("put many", keys):
                self.submit(put_many(keys, [next(self.values) for _ in keys]))
            case ("increment", key, timeout_ms):
                self.submit(operations.increment(key, 1, timeout_ms / 1_000))
            case ("delete", key):
                self.submit(delete(key))
            case ("get", key):
                self.submit(get(key))
            case ("get many", keys):
                self.submit(get_many(keys))
            case ("abandon",) if self.calls:
                self.abandoned.add(self.calls[-1])
                self.driver.abandon(self.calls[-1])
            case _:
                self.befall(action)

    def befall(self, action: tuple[Any, ...]) -> None:
        match action:
            case ("fate", fate):
                self.cluster.script.append(fate)
            case ("deliver", link):
                self.deliver_first_of(link)
            case ("wait", milliseconds):
                self.wait(milliseconds)
            case ("restart", worker):
                self.cluster.new_epochs(worker)
            case ("move", segment, worker):
                self.cluster.give_to(worker, [segment])
            case ("broadcast",):
                self.driver.receive(self.cluster.broadcast())
            case ("credits", credits):
                self.cluster.credits = credits

    def submit(self, call: Call) -> None:
        self.calls.append(call)
        self.driver.submit(call)

    def deliver_first_of(self, link: str) -> None:
        """Deliver the first message of a link: links keep their order, but one may be slower than another."""
        wire = self.driver.wire
        for at, (name, _) in enumerate(wire):
            if name == link:
                message = wire[at]
                del wire[at]
                wire.appendleft(message)
                self.driver.deliver()
                return

    def wait(self, milliseconds: int) -> None:
        """Let time pass without delivering messages, so that they are late."""
        kept = list(self.driver.wire)
        self.driver.wire.clear()
        self.driver.advance(milliseconds)
        self.driver.wire.extendleft(reversed(kept))

    def check_credits(self) -> None:
        sent = Counter(
            (request.channel.link, request.free)
            for request in self.driver.session._sender.requests()
            if request.state is RequestState.SENT
        )
        for channel in self.driver.session._lane_map.channels.values():
            assert channel.in_flight == sent[channel.link, False]
            assert channel.barriers_free == sent[channel.link, True]

    def finish(self) -> None:
        self.cluster.script.clear()
        self.driver.run()
        self.driver.advance(25_000)

    def check_ends(self) -> None:
        assert self.driver.session._sender.requests() == []
        assert self.driver.session.wakeup_ns() is None
        written = Counter(value for op, _, values in self.cluster.log if op == Op.PUT for value in values)
        assert max(written.values(), default=1) == 1
        for call in self.calls:
            assert (call in self.driver.ended) or call in self.abandoned
            self.check_end(call, self.driver.ended.get(call, "abandoned"), written)

    def check_end(self, call: Call, end: Any, written: Counter[bytes]) -> None:
        assert isinstance(call, Single | Many)
        if call.op == Op.PUT:
            values = [call.value] if isinstance(call, Single) else list(call.values.items)  # type: ignore[union-attr]
            times = {written[value] for value in values}
            if end is None:
                assert times == {1}
            elif isinstance(end, Busy | Unavailable):
                assert times == {0}
            else:
                assert end == "abandoned" or isinstance(end, OutcomeUnknown)
        elif call.op == Op.DELETE:
            assert end is None or call in self.abandoned, "nobody waits for a write that was left"

    def check_counters(self) -> None:
        """Check that each answered increment counts once with a distinct number, and one in doubt at most once."""
        for key in COUNTERS:
            calls = [call for call in self.calls if isinstance(call, Single) and call.key == key]
            ends = [self.driver.ended.get(call) for call in calls]
            told = [end for end in ends if isinstance(end, int)]
            in_doubt = sum(end is None or isinstance(end, OutcomeUnknown) for end in ends)
            assert len(set(told)) == len(told)
            assert len(told) <= int(self.cluster.data.get(key, b"0")) <= len(told) + in_doubt

    def check_order(self) -> None:
        """Check that each key got the values of acknowledged put_many calls in the order of the calls."""
        acknowledged: dict[bytes, list[bytes]] = {key: [] for key in KEYS}
        for call in self.calls:
            if isinstance(call, Many) and call.values is not None and self.driver.ended.get(call, call) is None:
                for key, value in zip(call.keys.items, call.values.items, strict=True):
                    acknowledged[key].append(value)
        for key, values in acknowledged.items():
            applied = [v for _, keys, vs in self.cluster.log for k, v in zip(keys, vs, strict=False) if k == key]
            assert [value for value in applied if value in values] == values

    def check_reads(self) -> None:
        """Check that every key is read as the cluster has it, alone and in a batch."""
        expected = [self.cluster.data.get(key) for key in KEYS]
        assert self.driver.call(get_many(KEYS)) == expected
        assert [self.driver.call(get(key)) for key in KEYS] == expected


@pytest.mark.fault("C2", "N13")
@settings(max_examples=300, deadline=None)
@given(st.lists(ACTIONS, min_size=10, max_size=100))
def test_every_call_ends_as_the_cluster_knows(actions: list[tuple[Any, ...]]) -> None:
    world = World()
    world.run(actions)
    world.check_ends()
    world.check_order()
    world.check_counters()


@settings(max_examples=100, deadline=None)
@given(st.lists(ACTIONS, min_size=10, max_size=100))
def test_reads_answer_what_was_written(actions: list[tuple[Any, ...]]) -> None:
    world = World()
    world.run(actions)
    world.check_reads()
