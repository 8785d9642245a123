"""The oracle: records operations and their results, and checks whether the history is linearizable.

Every written value is unique, so a read identifies the write it saw. The history of each key must be that of a
register that is read and written at instants between the start and the end of each operation:

    a value was written for that key, not later than it was read, and was not refused
    no write that certainly followed it had certainly taken effect before the read began   (checked at each read)
        the zones of all values can be ordered (Gibbons and Korach, 1997)                      (checked at an era's end)

A write has certainly taken effect once it is acknowledged or read, or another one of its atomic batch is. A take counts
as a delete of each key within its bounds, until it tells which key it was. A value that expires may be absent from the
earliest moment at which any clock may say so, and must be from the latest on. Once a reader found it absent, and
nothing else explains that, nobody reads it again. A write without a reply may take effect once, at any later time. An
era ends with a power loss: then no old write is left under way, and the next reads find the values with which the next
era begins. In ASYNC a power loss may undo what was acknowledged in the last sync interval.

While an operator resolves a change, writes of the keys that he was told of may be lost: older values may be read again.
What was lost is never reported as not applied, and all that is written later counts as ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

NEVER_NS = 2**63


class Violation(Exception):
    """Raised when the store broke a promise."""


class Outcome(Enum):
    """The outcome of a write as reported to its client."""

    OPEN = 1
    """Not reported, or unknown."""
    APPLIED = 2
    REFUSED = 3


@dataclass(slots=True, eq=False)
class Write:
    """A write of one key; None as `value` deletes."""

    key: bytes
    value: bytes | None
    invoked_ns: int
    completed_ns: int = NEVER_NS
    outcome: Outcome = Outcome.OPEN
    read_ns: int = NEVER_NS
    """The end of the first read that saw it."""
    reads: list[tuple[int, int]] = field(default_factory=list)
    era: int = 0
    replaced: bool = False
    """Whether a compare-and-set has replaced its value, or a take has removed it."""
    together: Sequence[Write] = ()
    """The writes of its atomic batch, with itself; none for a single write."""
    expires_from_ns: int = NEVER_NS
    """From when on its value may have expired."""
    expires_until_ns: int = NEVER_NS
    """Until when it must have expired; NEVER_NS if that is not known."""
    gone_ns: int = NEVER_NS
    """When it was first found to have expired."""
    moved: bool = False
    """Whether its value may have got another end since."""
    may_be_lost: bool = False
    """Whether an operator was told that it may be lost."""

    @property
    def certain_ns(self) -> int:
        """The time from which the write has certainly taken effect."""
        return min(self.completed_ns if self.outcome is Outcome.APPLIED else NEVER_NS, self.read_ns)

    def __str__(self) -> str:
        what = "delete" if self.value is None else f"put {self.value[:24]!r}"
        return f"{what} at {self.invoked_ns:,}..{self.completed_ns:,} {self.outcome.name} read {self.read_ns:,}"


class Oracle:
    """The history of every key."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self.keys = sorted(keys)
        self._writes: dict[bytes, list[Write]] = {key: [_beginning(key, None)] for key in self.keys}
        self._by_value: dict[bytes, Write] = {}
        self._batches: list[Sequence[Write]] = []
        self._moves: dict[bytes, list[int]] = {}
        """For each key, from when on its value expires after each change of its end that may still be under way."""
        self._losing: set[bytes] = set()
        """Keys whose writes may be lost now."""
        self._lost: set[bytes] = set()
        """Keys of which writes may have been lost in this era."""
        self.some_expire = False
        """Whether a value may expire."""
        self._era = 0
        self.acknowledged = 0
        self.reads = 0

    def invoke(self, key: bytes, value: bytes | None, now_ns: int) -> Write:
        """Record that a client begins a write."""
        write = Write(key, value, now_ns, era=self._era, may_be_lost=key in self._losing)
        for from_ns in self._moves.get(key, ()):
            _move(write, from_ns)
        self._writes[key].append(write)
        if value is not None:
            assert value not in self._by_value, "values are unique"
            self._by_value[value] = write
        return write

    def may_lose(self, keys: Iterable[bytes]) -> None:
        """Record that all writes of these keys may be lost, until `has_lost`."""
        for key in keys:
            self._losing.add(key)
            self._lost.add(key)
            for write in self._writes[key]:
                write.may_be_lost = True

    def has_lost(self, keys: Iterable[bytes]) -> None:
        """Record that no writes of these keys may be lost any more."""
        self._losing.difference_update(keys)

    def invoke_together(self, changes: Mapping[bytes, bytes | None], now_ns: int) -> list[Write]:
        """Record that a client begins an atomic batch: once one of its values was read, all of it has taken effect."""
        writes = [self.invoke(key, value, now_ns) for key, value in changes.items()]
        for write in writes:
            write.together = writes
        self._batches.append(writes)
        return writes

    def withdraw(self, write: Write) -> None:
        """Forget a write that certainly had no effect, as if it had never been invoked."""
        self.complete(write, Outcome.REFUSED, write.invoked_ns)
        if write.era == self._era:
            self._writes[write.key].remove(write)

    def complete(self, write: Write, outcome: Outcome, now_ns: int) -> None:
        """Record the outcome of a write."""
        write.outcome = outcome
        write.completed_ns = now_ns
        self.acknowledged += outcome is Outcome.APPLIED
        if outcome is Outcome.REFUSED and write.reads:
            raise Violation(f"{write.key!r}: a write that was read was refused: {write}")

    def move_end(self, key: bytes, from_ns: int) -> None:
        """Record that a client begins to give the value of a key another end, not before this time; never: none."""
        self._moves.setdefault(key, []).append(from_ns)
        for write in self._writes[key]:
            _move(write, from_ns)

    def end_is_moved(self, key: bytes, from_ns: int) -> None:
        """Record that this has certainly taken effect, or never will."""
        if from_ns in self._moves.get(key, ()):
            self._moves[key].remove(from_ns)

    def replace(self, write: Write, expected: bytes | None, now_ns: int) -> None:
        """Record that a write replaced this value, or None; only one write can replace a value."""
        self.read(write.key, expected, write.invoked_ns, now_ns)
        if expected is not None:
            before = self._by_value[expected]
            if before.replaced and write.key not in self._lost:
                raise Violation(f"{write.key!r}: two writes took the place of {before}")
            before.replaced = True

    def read(
        self, key: bytes, value: bytes | None, invoked_ns: int, now_ns: int, lost_after_ns: int = NEVER_NS
    ) -> None:
        """Check a value, or None, read between these times. Writes after `lost_after_ns` may be undone."""
        self.reads += 1
        if value is None:
            expired = self._read_absent(key, invoked_ns, now_ns, lost_after_ns)
            if lost_after_ns == NEVER_NS and len(expired) == 1:
                expired[0].gone_ns = min(expired[0].gone_ns, now_ns)
            return
        write = self._by_value.get(value)
        if write is None or write.key != key or (write.era != self._era and key not in self._lost):
            raise Violation(
                f"{key!r}: read {value[:24]!r} at {now_ns:,}, which nobody wrote there in this era: {write}"
            )
        if write.outcome is Outcome.REFUSED or write.invoked_ns > now_ns:
            raise Violation(f"{key!r}: read at {now_ns:,} what was refused, or not written yet: {write}")
        later = self._certainly_later(key, write, invoked_ns, lost_after_ns)
        if later is not None:
            raise Violation(f"{key!r}: a read at {invoked_ns:,}..{now_ns:,} saw {write}, although {later}")
        if lost_after_ns == NEVER_NS and write.gone_ns < invoked_ns and key not in self._lost:
            raise Violation(
                f"{key!r}: a read at {invoked_ns:,} saw {write} again, which had expired at {write.gone_ns:,}"
            )
        if write.expires_until_ns < invoked_ns and key not in self._lost:
            raise Violation(f"{key!r}: a read at {invoked_ns:,} saw {write}, to expire by {write.expires_until_ns:,}")
        if lost_after_ns != NEVER_NS or write.era != self._era:
            return  # writes lost in between are not part of the history
        write.reads.append((invoked_ns, now_ns))
        for each in write.together or (write,):
            each.read_ns = min(each.read_ns, now_ns)
            if each.outcome is Outcome.REFUSED:
                raise Violation(f"{each.key!r}: a part of a batch was refused of which another was read: {write}")

    def read_present(self, key: bytes, invoked_ns: int, now_ns: int) -> None:
        """Check that a key may be present, when a client found it without reading its value."""
        self.reads += 1
        puts = (write for write in reversed(self._writes[key]) if write.value is not None and _possible(write, now_ns))
        if key in self._lost and self._certainly_later(key, _beginning(key, None), invoked_ns, NEVER_NS) is None:
            return
        puts = (put for put in puts if min(put.gone_ns, put.expires_until_ns) >= invoked_ns)
        if not any(self._certainly_later(key, put, invoked_ns, NEVER_NS) is None for put in puts):
            raise Violation(f"{key!r}: found at {invoked_ns:,}..{now_ns:,}, where it must be absent")

    def _read_absent(self, key: bytes, invoked_ns: int, now_ns: int, lost_after_ns: int) -> list[Write]:
        """Check that a key may be absent. Returns the values of which one must have expired; none if it was deleted."""
        deletes = (write for write in reversed(self._writes[key]) if write.value is None and _possible(write, now_ns))
        if any(self._certainly_later(key, delete, invoked_ns, lost_after_ns) is None for delete in deletes):
            return []
        if key in self._lost and self._certainly_later(key, _beginning(key, None), invoked_ns, lost_after_ns) is None:
            return []
        expired = [write for write in self._writes[key] if write.expires_from_ns <= now_ns and _possible(write, now_ns)]
        expired = [write for write in expired if self._certainly_later(key, write, invoked_ns, lost_after_ns) is None]
        if not expired:
            story = "; ".join(map(str, self._writes[key][-6:]))
            raise Violation(f"{key!r}: absent at {invoked_ns:,}..{now_ns:,}, where a value must be (of {story})")
        return expired

    def _certainly_later(self, key: bytes, write: Write, before_ns: int, lost_after_ns: int) -> Write | None:
        """A write that certainly took effect after this one and before that time, and cannot have been undone."""
        bound_ns = min(before_ns, lost_after_ns)
        certain_ns = write.certain_ns
        for other in reversed(self._writes[key]):
            if other.invoked_ns <= certain_ns:
                return None
            if other.certain_ns < bound_ns and other.outcome is not Outcome.REFUSED and not other.may_be_lost:
                return other
        return None

    def may_be_absent(self, key: bytes, invoked_ns: int, now_ns: int) -> bool:
        """Whether a read between these times may find no value."""
        try:
            self._read_absent(key, invoked_ns, now_ns, NEVER_NS)
        except Violation:
            return False
        return True

    def may_be_present(self, key: bytes, invoked_ns: int, now_ns: int) -> bool:
        """Whether a read between these times may find a value."""
        try:
            self.read_present(key, invoked_ns, now_ns)
        except Violation:
            return False
        return True

    def end_era(self, found: dict[bytes, bytes | None]) -> None:
        """Check the whole history of each key; the next era begins with the values found."""
        self._era += 1
        self._moves = {}
        self._check_batches(found)
        for key in self.keys:
            if key not in self._lost:
                self._check_zones(key)
            beginning = _beginning(key, found[key], self._era)
            self._writes[key] = [beginning]
            if beginning.value is not None:
                before = self._by_value.get(beginning.value, beginning)
                beginning.expires_from_ns, beginning.expires_until_ns = before.expires_from_ns, before.expires_until_ns
                self._by_value[beginning.value] = beginning
            beginning.may_be_lost = key in self._losing
        self._lost &= self._losing

    def _check_batches(self, found: dict[bytes, bytes | None]) -> None:
        """Check that a batch of which one value is there has left no key as it was before."""
        for batch in self._batches:
            is_there = any(write.value is not None and found[write.key] == write.value for write in batch)
            if is_there and self._lost.isdisjoint([write.key for write in batch]):
                for write in batch:
                    value = found[write.key]
                    before = self._by_value.get(value) if value is not None else None
                    if before is not None and before.completed_ns < write.invoked_ns and before.era == write.era:
                        raise Violation(f"{write.key!r}: a part of a batch is missing: {write} has left {before}")
        self._batches = []

    def _check_zones(self, key: bytes) -> None:
        forward: list[tuple[int, int, Write]] = []
        backward: list[tuple[int, int, Write]] = []
        for write in self._writes[key]:
            if write.value is None or (write.outcome is not Outcome.APPLIED and not write.reads):
                continue
            end_ns = write.completed_ns if write.outcome is Outcome.APPLIED else NEVER_NS
            operations = [(write.invoked_ns, end_ns), *write.reads]
            first_end, last_start = min(end for _, end in operations), max(start for start, _ in operations)
            zone = (min(first_end, last_start), max(first_end, last_start), write)
            (forward if first_end < last_start else backward).append(zone)
        forward.sort(key=lambda zone: zone[:2])
        for (_, end, write), (start, _, other) in pairwise(forward):
            if start < end:
                raise Violation(f"{key!r}: no order of reads and writes explains {write} and {other}")
        for low, high, write in backward:
            for start, end, other in forward:
                if start < low and high < end:
                    raise Violation(f"{key!r}: no order of reads and writes explains {write} within {other}")


def _beginning(key: bytes, value: bytes | None, era: int = 0) -> Write:
    return Write(key, value, -1, -1, Outcome.APPLIED, -1, era=era)


def _move(write: Write, from_ns: int) -> None:
    write.moved = True
    write.expires_from_ns = min(write.expires_from_ns, from_ns)
    write.expires_until_ns = NEVER_NS


def _possible(write: Write, now_ns: int) -> bool:
    return write.outcome is not Outcome.REFUSED and write.invoked_ns <= now_ns
