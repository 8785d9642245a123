"""The compact dedup window, written, split, merged and aged, against a window that remembers everything."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgpack
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shardstore.identifiers import RequestId
from shardstore.workers.ranges import dedup
from shardstore.workers.ranges.dedup import DedupVerdict, DedupWindow, WindowLimits
from shardstore.workers.ranges.results import BARRED, FAILED, Taken, WriteResult

SMALL = WindowLimits(spans=2, clients=3, values=2, minutes=2, bytes_max=1_450)
CLIENTS = range(1, 6)
COUNTED = (b"7", b"-12")
TAKEN = (Taken(b"k", b""), Taken(b"key", b" 1:2 "))
results = st.sampled_from([None, None, FAILED, BARRED, *COUNTED, *TAKEN])


@dataclass
class Everything:
    """What was noted, by client and sequence, in ascending order of sequences; and what no crash can undo."""

    noted: dict[int, dict[int, WriteResult]] = field(default_factory=dict)
    lsns: dict[tuple[int, int], int] = field(default_factory=dict)

    def joined(self, other: Everything) -> Everything:
        clients = sorted({*self.noted, *other.noted})
        both = {client: self.noted.get(client, {}) | other.noted.get(client, {}) for client in clients}
        return Everything(
            {client: dict(sorted(known.items())) for client, known in both.items()}, self.lsns | other.lsns
        )


class Windows(RuleBasedStateMachine):
    """Ranges of one worker, each with its window and its model."""

    def __init__(self) -> None:
        super().__init__()
        self.limits, dedup.LIMITS = dedup.LIMITS, SMALL
        self.ranges = [(DedupWindow(), Everything())]
        self.newest = dict.fromkeys(CLIENTS, 0)
        self.lsn = 0
        self.lsn_durable = 0

    def teardown(self) -> None:
        dedup.LIMITS = self.limits

    @rule(at=st.integers(0, 7), client=st.sampled_from(CLIENTS), gap=st.sampled_from([1, 1, 2, 300]), result=results)
    def note(self, at: int, client: int, gap: int, result: WriteResult) -> None:
        window, told = self.ranges[at % len(self.ranges)]
        sequence = self.newest[client] = self.newest[client] + gap
        assert window.judge(RequestId(client, sequence), retry=False) is DedupVerdict.NEW
        self.lsn += 1
        window.note(RequestId(client, sequence), self.lsn, self.lsn_durable, result)
        told.noted.setdefault(client, {})[sequence] = result
        told.lsns[client, sequence] = self.lsn

    @rule()
    def sync(self) -> None:
        self.lsn_durable = self.lsn

    @rule(at=st.integers(0, 7))
    def die(self, at: int) -> None:
        """The log keeps what is durable, and the manifest says no more."""
        at %= len(self.ranges)
        window, told = self.ranges[at]
        for client, sequence in [key for key, lsn in told.lsns.items() if lsn > self.lsn_durable]:
            told.noted[client].pop(sequence, None)
            del told.lsns[client, sequence]
        document = msgpack.packb(window.to_document(self.lsn_durable))
        self.ranges[at] = DedupWindow.from_document(msgpack.unpackb(document, strict_map_key=False)), told

    @precondition(lambda self: len(self.ranges) < 4)
    @rule(at=st.integers(0, 7))
    def split(self, at: int) -> None:
        window, told = self.ranges.pop(at % len(self.ranges))
        self.ranges += [(DedupWindow.joined([window], 0), told.joined(Everything())) for _ in range(2)]

    @precondition(lambda self: len(self.ranges) > 1)
    @rule()
    def merge(self) -> None:
        (left, left_told), (right, right_told) = self.ranges.pop(), self.ranges.pop()
        self.ranges.append((DedupWindow.joined([left, right], 0), left_told.joined(right_told)))

    @rule()
    def pass_minute(self) -> None:
        for window, _ in self.ranges:
            window.pass_minute()

    @rule(at=st.integers(0, 7), bytes_max=st.integers(0, 1_200))
    def be_short_of_memory(self, at: int, bytes_max: int) -> None:
        self.ranges[at % len(self.ranges)][0].shrink(bytes_max)

    @invariant()
    def nothing_is_applied_twice(self) -> None:
        for window, told in self.ranges:
            for client, known in told.noted.items():
                verdicts = {window.judge(RequestId(client, sequence), retry=True) for sequence in known}
                assert DedupVerdict.NEW not in verdicts

    @invariant()
    def what_is_known_is_true(self) -> None:
        for window, told in self.ranges:
            for client in CLIENTS:
                known = told.noted.get(client, {})
                for sequence in {around + off for around in known for off in (-1, 0, 1)}:
                    noted = window.noted(RequestId(client, sequence))
                    if noted is not None:
                        assert sequence in known
                        expected = known[sequence]
                        assert noted.result == expected or (noted.result is None and expected in (*COUNTED, *TAKEN))
                    elif sequence in known:
                        assert window.has_forgotten(RequestId(client, sequence))

    @invariant()
    def it_is_bounded(self) -> None:
        for window, _ in self.ranges:
            window.check_invariants()


class RoomyWindows(Windows):
    """Check that the windows know as much as promised while there is room."""

    def __init__(self) -> None:
        super().__init__()
        dedup.LIMITS = WindowLimits(spans=3, clients=len(CLIENTS), values=2)
        self.ranges = [(DedupWindow(), Everything())]

    @rule(at=st.integers(0, 7))
    def die(self, at: int) -> None:
        """Nothing is undone here, since values evicted by undone ones are lost."""
        self.sync()
        super().die(at)

    @precondition(lambda self: False)
    @rule()
    def pass_minute(self) -> None:
        """No client is silent for long."""

    @precondition(lambda self: False)
    @rule(bytes_max=st.just(0))
    def be_short_of_memory(self, bytes_max: int) -> None:
        """There is room in the windows."""

    @invariant()
    def it_is_bounded(self) -> None:
        """The limits are less tight."""
        super().it_is_bounded()

    @invariant()
    def the_latest_are_known(self) -> None:
        for window, told in self.ranges:
            for client, known in told.noted.items():
                counted = [sequence for sequence, result in known.items() if result in COUNTED]
                for sequence in list(known)[-3:]:
                    noted = window.noted(RequestId(client, sequence))
                    assert noted is not None
                    if known[sequence] in TAKEN:
                        assert noted.result == known[sequence] or sequence != max(known)
                    else:
                        assert noted.result == known[sequence] or sequence not in counted[-2:]
                assert not window._forgot


TestWindows = Windows.TestCase
TestWindows.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestRoomyWindows = RoomyWindows.TestCase
TestRoomyWindows.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
