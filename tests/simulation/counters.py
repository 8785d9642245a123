"""What clients were told of counters to which everybody adds 1, and whether that can be true.

Every increment that took effect has a number of its own: where the counter stood then. So, of one counter in one era:

    no two increments were told the same number
    who begins after a number was told or read, is told a higher one, and reads none below
    nobody sees more than all increments that were begun and not refused add up to
    at the end it stands at the number of acknowledged increments, or above by at most those without an answer
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from tests.simulation.oracle import NEVER_NS, Outcome, Violation


@dataclass(slots=True, eq=False)
class Increment:
    """One increment of one counter by 1."""

    key: bytes
    invoked_ns: int
    outcome: Outcome = Outcome.OPEN
    completed_ns: int = NEVER_NS


class _Counter:
    """One counter since the beginning of the era: where it stood then, and from when on what was known of it."""

    def __init__(self, base: int) -> None:
        self.base = base
        self.increments: list[Increment] = []
        self.told: set[int] = set()
        self._known_ns = [-1]
        self._known = [base]

    def known_before(self, now_ns: int) -> int:
        """The highest number that was told or read before this time."""
        return self._known[bisect_left(self._known_ns, now_ns) - 1]

    def learn(self, number: int, now_ns: int) -> None:
        """Somebody was told, or has read, that the counter has come so far."""
        if number > self._known[-1]:
            self._known_ns.append(now_ns)
            self._known.append(number)

    def highest(self) -> int:
        """Where it may stand at most."""
        return self.base + sum(increment.outcome is not Outcome.REFUSED for increment in self.increments)


class Counters:
    """All counters."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self.keys = sorted(keys)
        self.acknowledged = 0
        self._counters = {key: _Counter(0) for key in self.keys}

    def invoke(self, key: bytes, now_ns: int) -> Increment:
        """A client begins an increment."""
        increment = Increment(key, now_ns)
        self._counters[key].increments.append(increment)
        return increment

    def complete(self, increment: Increment, outcome: Outcome, number: int | None, now_ns: int) -> None:
        """The client was told how it ended, and where the counter stood then if it was told that."""
        counter = self._counters[increment.key]
        increment.outcome, increment.completed_ns = outcome, now_ns
        self.acknowledged += outcome is Outcome.APPLIED
        if number is None:
            return
        if number in counter.told:
            raise Violation(f"{increment.key!r}: two increments were told {number}")
        if not counter.known_before(increment.invoked_ns) < number <= counter.highest():
            raise Violation(f"{increment.key!r}: an increment was told {number}, {self._bounds(increment)}")
        counter.told.add(number)
        counter.learn(number, now_ns)

    def read(self, key: bytes, value: bytes | None, invoked_ns: int, now_ns: int) -> None:
        """A client read this value, or None, between these times."""
        counter, number = self._counters[key], int(value or b"0")
        if not counter.known_before(invoked_ns) <= number <= counter.highest():
            raise Violation(f"{key!r}: read {number}, {self._bounds(Increment(key, invoked_ns))}")
        counter.learn(number, now_ns)

    def end_era(self, found: dict[bytes, bytes | None], lost_after_ns: int) -> None:
        """All increments have ended, or never will; those acknowledged after `lost_after_ns` may be undone."""
        for key, counter in self._counters.items():
            number = int(found[key] or b"0")
            kept = [one for one in counter.increments if one.outcome is Outcome.APPLIED]
            lowest = counter.base + sum(one.completed_ns < lost_after_ns for one in kept)
            if not max(lowest, counter.known_before(min(lost_after_ns, NEVER_NS))) <= number <= counter.highest():
                raise Violation(f"{key!r}: stands at {number}; possible are {lowest} to {counter.highest()}")
            self._counters[key] = _Counter(number)

    def _bounds(self, increment: Increment) -> str:
        counter = self._counters[increment.key]
        return f"where {counter.known_before(increment.invoked_ns)} was known and {counter.highest()} is the highest"
