"""The table of requests in flight, against a plain dictionary."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shardstore.identifiers import WorkerId
from shardstore.router.in_flight import ForwardedRequest, InFlight
from shardstore.wire.wire_format import Header, Op

SMALL = st.integers(1, 3)


class InFlightMachine(RuleBasedStateMachine):
    """Each entry is taken at most once, and the bytes charged are those of the entries."""

    def __init__(self) -> None:
        super().__init__()
        self.in_flight = InFlight()
        self.model: dict[tuple[int, int, int], ForwardedRequest] = {}

    @rule(
        client=SMALL,
        sequence=SMALL,
        segment=SMALL,
        worker=SMALL,
        size_bytes=st.integers(1, 100),
        deadline_ns=st.integers(0, 9),
    )
    def add(self, client: int, sequence: int, segment: int, worker: int, size_bytes: int, deadline_ns: int) -> None:
        header = Header(Op.GET, client=client, sequence=sequence, segment=segment)
        passed = ForwardedRequest("clients", b"peer", header, WorkerId(worker), size_bytes, deadline_ns)
        self.in_flight.add(passed)
        self.model[client, sequence, segment] = passed

    @rule(client=SMALL, sequence=SMALL, segment=SMALL, worker=SMALL)
    def take(self, client: int, sequence: int, segment: int, worker: int) -> None:
        expected = self.model.get((client, sequence, segment))
        if expected is not None and expected.worker != worker:
            expected = None
        reply = Header(Op.GET, client=client, sequence=sequence, segment=segment)
        assert self.in_flight.take(reply, WorkerId(worker)) == expected
        if expected is not None:
            del self.model[client, sequence, segment]

    @rule(worker=SMALL)
    def take_all(self, worker: int) -> None:
        lost = [passed for passed in self.model.values() if passed.worker == worker]
        assert self.in_flight.take_all(worker) == lost
        self.model = {key: passed for key, passed in self.model.items() if passed.worker != worker}

    @rule(before_ns=st.integers(0, 9))
    def expire(self, before_ns: int) -> None:
        kept = {key: passed for key, passed in self.model.items() if passed.deadline_ns >= before_ns}
        assert self.in_flight.expire(before_ns) == len(self.model) - len(kept)
        self.model = kept

    @invariant()
    def sums_agree(self) -> None:
        self.in_flight.check_invariants()
        assert len(self.in_flight) == len(self.model)
        assert self.in_flight.size_bytes() == sum(passed.size_bytes for passed in self.model.values())


TestInFlight = InFlightMachine.TestCase
TestInFlight.settings = settings(max_examples=60, stateful_step_count=30)
