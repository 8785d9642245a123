"""Checks the results of increments and reads of counters to which all clients add 1.

Every increment that took effect has a distinct result: the new value of the counter. So for one counter in one era:

    no two increments returned the same number
    an increment begun after a number was returned or read returns a higher one, and a read none below
    no number is higher than the number of increments begun and not refused
    the final value is the number of acknowledged increments, plus at most those without a reply
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
    """One counter in one era: its value at the beginning, and the numbers seen since, with their times."""

    def __init__(self, base: int) -> None:
        self.base = base
        self.increments: list[Increment] = []
        self.told: set[int] = set()
        self._known_ns = [-1]
        self._known = [base]

    def known_before(self, now_ns: int) -> int:
        """The highest number returned or read before this time."""
        return self._known[bisect_left(self._known_ns, now_ns) - 1]

    def learn(self, number: int, now_ns: int) -> None:
        """Record that a client saw this number."""
        if number > self._known[-1]:
            self._known_ns.append(now_ns)
            self._known.append(number)

    def highest(self) -> int:
        """The highest possible value."""
        return self.base + sum(increment.outcome is not Outcome.REFUSED for increment in self.increments)


class Counters:
    """The history of all counters."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self.keys = sorted(keys)
        self.acknowledged = 0
        self._counters = {key: _Counter(0) for key in self.keys}
        self._lost: set[bytes] = set()
        """Counters of which an operator was told that increments may be lost: what they show is not checked."""

    def may_lose(self, keys: Iterable[bytes]) -> None:
        """Record that increments of these counters may be lost."""
        self._lost.update(keys)

    def invoke(self, key: bytes, now_ns: int) -> Increment:
        """Record that a client begins an increment."""
        increment = Increment(key, now_ns)
        self._counters[key].increments.append(increment)
        return increment

    def complete(self, increment: Increment, outcome: Outcome, number: int | None, now_ns: int) -> None:
        """Record the outcome of an increment and, if it is known, its number."""
        counter = self._counters[increment.key]
        increment.outcome, increment.completed_ns = outcome, now_ns
        self.acknowledged += outcome is Outcome.APPLIED
        if number is None or increment.key in self._lost:
            return
        if number in counter.told:
            raise Violation(f"{increment.key!r}: two increments were told {number}")
        if not counter.known_before(increment.invoked_ns) < number <= counter.highest():
            raise Violation(f"{increment.key!r}: an increment was told {number}, {self._bounds(increment)}")
        counter.told.add(number)
        counter.learn(number, now_ns)

    def read(self, key: bytes, value: bytes | None, invoked_ns: int, now_ns: int) -> None:
        """Check a value, or None, that a client read between these times."""
        if key in self._lost:
            return
        counter, number = self._counters[key], int(value or b"0")
        if not counter.known_before(invoked_ns) <= number <= counter.highest():
            raise Violation(f"{key!r}: read {number}, {self._bounds(Increment(key, invoked_ns))}")
        counter.learn(number, now_ns)

    def end_era(self, found: dict[bytes, bytes | None], lost_after_ns: int) -> None:
        """Check the final values and start a new era. Increments acknowledged after `lost_after_ns` may be undone."""
        for key, counter in self._counters.items():
            number = int(found[key] or b"0")
            kept = [one for one in counter.increments if one.outcome is Outcome.APPLIED]
            lowest = counter.base + sum(one.completed_ns < lost_after_ns for one in kept)
            known = counter.known_before(min(lost_after_ns, NEVER_NS))
            if key not in self._lost and not max(lowest, known) <= number <= counter.highest():
                raise Violation(f"{key!r}: stands at {number}; possible are {lowest} to {counter.highest()}")
            self._counters[key] = _Counter(number)

    def _bounds(self, increment: Increment) -> str:
        counter = self._counters[increment.key]
        return f"where {counter.known_before(increment.invoked_ns)} was known and {counter.highest()} is the highest"
