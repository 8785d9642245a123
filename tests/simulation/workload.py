"""The operations of clients in a simulation. The oracle records the begin and the end of each."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Sequence
from itertools import count
from typing import TypeAlias

from shardstore.client.calls import operations
from shardstore.client.calls.calls import AtomicBatch, Call, Count
from shardstore.client.calls.outcome_token import from_bytes
from shardstore.errors import (
    Busy,
    Closed,
    InvalidRequest,
    OutcomeUnknown,
    ScanInvalidated,
    StorageFailure,
    Unavailable,
)
from shardstore.estimate import Estimate
from shardstore.key_range import KeyRange
from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.options import ScanMode
from shardstore.outcome import Ending
from shardstore.wire.wire_format import Op
from tests.simulation.clients import Actor, Answer
from tests.simulation.counters import Counters
from tests.simulation.expiry import LIFETIMES_MS, earliest_ns, latest_ns
from tests.simulation.followed_scan import FollowedScan
from tests.simulation.oracle import NEVER_NS, Oracle, Outcome, Violation
from tests.simulation.sim_clock import SimClock
from tests.simulation.swarm import Swarm
from tests.unit.client.session_driver import new_scan

Steps: TypeAlias = Generator[Call | int, Answer, None]
NOT_APPLIED = (Busy, Unavailable, Closed, InvalidRequest)
RETRY_NS = 50 * MILLISECOND_NS
INVALIDATIONS_MAX = 20
_OUTCOMES = {Ending.APPLIED: Outcome.APPLIED, Ending.NOT_APPLIED: Outcome.REFUSED}


class Workload:
    """The actors of one simulation. `stopping` makes them end after their current operation."""

    def __init__(self, swarm: Swarm, clock: SimClock, oracle: Oracle, counters: Counters) -> None:
        self.stopping = False
        self.operations_left = swarm.operations
        self._swarm = swarm
        self._clock = clock
        self._oracle = oracle
        self._counters = counters
        self._values = count(1)
        self._seconds = swarm.timeout_ns / SECOND_NS

    def actor(self, rng: random.Random) -> Actor:
        """An actor that does one operation after the other until the workload stops."""
        names, weights = zip(*sorted(self._swarm.weights.items()), strict=True)
        while not self.stopping:
            self.operations_left -= 1
            self.stopping = self.operations_left <= 0
            yield rng.randint(0, self._swarm.think_ns)
            operation: Callable[[random.Random], Steps] = getattr(self, f"_{rng.choices(names, weights)[0]}")
            yield from operation(rng)

    def verifier(self, found: dict[bytes, bytes | None], lost_after_ns: int = NEVER_NS) -> Actor:
        """An actor that reads every key, with retries, and adds the values to the oracle and to `found`."""
        for key in self._oracle.keys:
            while key not in found:
                invoked_ns = self._clock.now_ns()
                value, error = yield operations.get(key, 2.0)
                if error is None:
                    self._oracle.read(key, value, invoked_ns, self._clock.now_ns(), lost_after_ns)
                    found[key] = value
                else:
                    _expect_read_error(error)
                    yield RETRY_NS
        for key in self._counters.keys:
            while key not in found:
                value, error = yield operations.get(key, 2.0)
                if error is None:
                    found[key] = value
                else:
                    _expect_read_error(error)
                    yield RETRY_NS

    def closing(self, done: list[str]) -> Actor:
        """An actor for the time after all faults: every operation must succeed within its timeout."""
        rng = random.Random(0)
        for mode in ScanMode:
            for reverse, keys_only in ((False, False), (True, False), (False, True)):
                yield from self._scan_to_its_end(mode, reverse, keys_only)
        for op in (Op.FLUSH, Op.COMPACT):
            _, error = yield operations.maintain(op, None, None, True, 20.0)
            _expect_none(error)
            yield from self._scan_to_its_end(ScanMode.SNAPSHOT, False, False)
        for key in self._oracle.keys[:3]:
            write = self._oracle.invoke(key, self._value(rng), self._clock.now_ns())
            _, error = yield operations.put(key, write.value, 10.0)
            _expect_none(error)
            self._oracle.complete(write, Outcome.APPLIED, self._clock.now_ns())
        for key in self._counters.keys:
            increment = self._counters.invoke(key, self._clock.now_ns())
            number, error = yield operations.increment(key, 1, 10.0)
            _expect_none(error)
            self._counters.complete(increment, Outcome.APPLIED, number, self._clock.now_ns())
        if not self._counters.keys:
            yield from self._counted_in_the_end()
        done.append("closed")

    def _counted_in_the_end(self) -> Steps:
        """Count all keys, and delete them in one step."""
        for estimates in (True, False):
            counting = operations.count(None, None, None, estimates, 10.0)
            assert counting is not None
            invoked_ns = self._clock.now_ns()
            found, error = yield counting
            _expect_none(error)
            self._check_count(counting, found, invoked_ns)
        clearing = operations.delete_range(None, None, None, 10.0)
        assert clearing is not None
        yield from self._write(self._oracle.keys, [None] * len(self._oracle.keys), clearing, random.Random(0))
        counting = operations.count(None, None, None, False, 10.0)
        assert counting is not None
        found, error = yield counting
        _expect_none(error)
        if found.entries:
            raise Violation(f"after everything was deleted, {found} keys have a value")

    # Operations

    def _put(self, rng: random.Random) -> Steps:
        key, value = self._key(rng), self._value(rng)
        yield from self._write([key], [value], operations.put(key, value, self._seconds), rng)

    def _delete(self, rng: random.Random) -> Steps:
        key = self._key(rng)
        yield from self._write([key], [None], operations.delete(key, self._seconds), rng)

    def _put_many(self, rng: random.Random) -> Steps:
        keys = self._some_keys(rng)
        values = [self._value(rng) for _ in keys]
        [call] = operations.put_many(zip(keys, values, strict=True), self._seconds)
        yield from self._write(keys, values, call, rng)

    def _delete_many(self, rng: random.Random) -> Steps:
        keys = self._some_keys(rng)
        [call] = operations.delete_many(keys, self._seconds)
        yield from self._write(keys, [None] * len(keys), call, rng)

    def _put_if_absent(self, rng: random.Random) -> Steps:
        key, value = self._key(rng), self._value(rng)
        yield from self._change(key, None, value, operations.put_if_absent(key, value, self._seconds), rng)

    def _compare_and_set(self, rng: random.Random) -> Steps:
        """Compare-and-set a value that was just read."""
        key, invoked_ns = self._key(rng), self._clock.now_ns()
        expected, error = yield operations.get(key, self._seconds)
        if error is not None:
            return _expect_read_error(error)
        self._oracle.read(key, expected, invoked_ns, self._clock.now_ns())
        value = None if rng.random() < 0.2 else self._value(rng)
        call = operations.compare_and_set(key, expected, value, self._seconds)
        yield from self._change(key, expected, value, call, rng)

    def _batch(self, rng: random.Random) -> Steps:
        """A batch on keys near each other, sometimes with values that were just read as its conditions."""
        near, required = self._neighbours(rng), {}
        for key in near[: rng.choice((0, 0, 1, 2))]:
            invoked_ns = self._clock.now_ns()
            expected, error = yield operations.get(key, self._seconds)
            if error is not None:
                return _expect_read_error(error)
            self._oracle.read(key, expected, invoked_ns, self._clock.now_ns())
            required[key] = expected
        if rng.random() < 0.1:
            required[near[0]] = b"a value that nobody has written"
        changed = rng.sample(near, rng.randint(1, len(near)))
        changes = {key: None if rng.random() < 0.3 else self._value(rng) for key in changed}
        begun_ns = self._clock.now_ns()
        writes = self._oracle.invoke_together(changes, begun_ns)
        columns = [*changes], [*changes.values()], [*required], [*required.values()]
        done, error = yield AtomicBatch(self._swarm.timeout_ns, *columns)
        outcome = yield from self._outcome(error, rng)
        if error is None and not done:
            outcome = Outcome.REFUSED
        now_ns = self._clock.now_ns()
        if outcome is Outcome.APPLIED:
            of_keys = {write.key: write for write in writes}
            for key, expected in required.items():
                if key in of_keys:
                    self._oracle.replace(of_keys[key], expected, now_ns)
                else:
                    self._oracle.read(key, expected, begun_ns, now_ns)
        for write in writes:
            self._oracle.complete(write, outcome, now_ns)

    def _take(self, rng: random.Random) -> Steps:
        """The first or last entry among some keys. What is nearer must have been absent."""
        near, reverse, begun_ns = self._neighbours(rng), rng.random() < 0.4, self._clock.now_ns()
        writes = [self._oracle.invoke(key, None, begun_ns) for key in near]
        call = operations.take(near[0], near[-1] + b"\0", None, reverse, self._seconds)
        assert call is not None
        entry, error = yield call
        outcome = yield from self._outcome(error, rng)
        now_ns = self._clock.now_ns()
        if error is not None:
            for write in writes if outcome is Outcome.REFUSED else ():
                self._oracle.withdraw(write)
            return
        taken = [write for write in writes if entry is not None and write.key == entry[0]]
        if entry is not None and not taken:
            raise Violation(f"{entry[0]!r} was taken, which is not within {near[0]!r} and {near[-1]!r}")
        for write in taken:
            self._oracle.replace(write, entry[1], now_ns)
            self._oracle.complete(write, Outcome.APPLIED, now_ns)
        for write in [write for write in writes if write not in taken]:
            self._oracle.withdraw(write)
        passed = [key for key in near if not taken or (key > entry[0] if reverse else key < entry[0])]
        for key in passed:
            self._oracle.read(key, None, begun_ns, now_ns)

    def _put_until(self, rng: random.Random) -> Steps:
        """Puts of values that expire, in one of the ways in which they can be put."""
        lifetime_ms = rng.choice(LIFETIMES_MS)
        ttl = lifetime_ms / 1000
        keys = self._some_keys(rng) if rng.random() < 0.3 else [self._key(rng)]
        values, begun_ns = [self._value(rng) for _ in keys], self._clock.now_ns()
        writes = [self._oracle.invoke(key, value, begun_ns) for key, value in zip(keys, values, strict=True)]
        self._oracle.some_expire = True
        for write in writes:
            write.expires_from_ns = min(write.expires_from_ns, earliest_ns(self._swarm, begun_ns, lifetime_ms))
        if_absent = len(keys) == 1 and rng.random() < 0.3
        if if_absent:
            call: Call = operations.put_if_absent(keys[0], values[0], self._seconds, ttl)
        elif len(keys) == 1:
            call = operations.put(keys[0], values[0], self._seconds, ttl=ttl)
        else:
            [call] = operations.put_many(zip(keys, values, strict=True), self._seconds, ttl=ttl)
        done, error = yield call
        outcome = yield from self._outcome(error, rng)
        if if_absent and error is None and not done:
            outcome = Outcome.REFUSED
        now_ns = self._clock.now_ns()
        if if_absent and outcome is Outcome.APPLIED:
            self._oracle.replace(writes[0], None, now_ns)
        for write in writes:
            if outcome is Outcome.APPLIED and not write.moved:
                write.expires_until_ns = latest_ns(self._swarm, now_ns, lifetime_ms)
            self._oracle.complete(write, outcome, now_ns)

    def _expire(self, rng: random.Random) -> Steps:
        """Give the value of a key another end, or none, or ask for it."""
        key, begun_ns = self._key(rng), self._clock.now_ns()
        if rng.random() < 0.3:
            left_ms, error = yield operations.ttl(key, self._seconds)
            if error is not None:
                return _expect_read_error(error)
            if operations.seconds_left(left_ms) is None:
                self._oracle.read(key, None, begun_ns, self._clock.now_ns())
            else:
                self._oracle.read_present(key, begun_ns, self._clock.now_ns())
            return
        lifetime_ms = rng.choice((0, *LIFETIMES_MS))
        from_ns = earliest_ns(self._swarm, begun_ns, lifetime_ms) if lifetime_ms else NEVER_NS
        self._oracle.some_expire = True
        self._oracle.move_end(key, from_ns)
        if lifetime_ms:
            done, error = yield operations.expire(key, self._seconds, lifetime_ms / 1000, None)
        else:
            done, error = yield operations.persist(key, self._seconds)
        outcome = yield from self._outcome(error, rng)
        if outcome is not Outcome.OPEN:
            self._oracle.end_is_moved(key, from_ns)
        if error is None and done:
            self._oracle.read_present(key, begun_ns, self._clock.now_ns())
        elif error is None and lifetime_ms:
            self._oracle.read(key, None, begun_ns, self._clock.now_ns())

    def _increment(self, rng: random.Random) -> Steps:
        key = rng.choice(self._counters.keys)
        increment = self._counters.invoke(key, self._clock.now_ns())
        number, error = yield operations.increment(key, 1, self._seconds)
        if isinstance(error, InvalidRequest) or (error and isinstance(error.__cause__, InvalidRequest)):
            raise Violation(f"{key!r}: an increment by 1 was not accepted: {error}")
        outcome = yield from self._outcome(error, rng)
        self._counters.complete(increment, outcome, number if error is None else None, self._clock.now_ns())

    def _read_counter(self, rng: random.Random) -> Steps:
        key, invoked_ns = rng.choice(self._counters.keys), self._clock.now_ns()
        value, error = yield operations.get(key, self._seconds)
        if error is not None:
            return _expect_read_error(error)
        self._counters.read(key, value, invoked_ns, self._clock.now_ns())

    def _get(self, rng: random.Random) -> Steps:
        key = self._key(rng)
        yield from self._read([key], operations.get(key, self._seconds))

    def _get_many(self, rng: random.Random) -> Steps:
        keys = self._some_keys(rng)
        [call] = operations.get_many(keys, self._seconds)
        yield from self._read(keys, call)

    def _contains(self, rng: random.Random) -> Steps:
        key = self._key(rng)
        invoked_ns = self._clock.now_ns()
        value, error = yield operations.contains(key, self._seconds)
        if error is not None:
            _expect_read_error(error)
        elif value is None:
            self._oracle.read(key, None, invoked_ns, self._clock.now_ns())
        else:
            self._oracle.read_present(key, invoked_ns, self._clock.now_ns())

    def _scan(self, rng: random.Random) -> Steps:
        """A scan in some mode: to its end or left early, maybe after a seek, and resumed by its token if it ended."""
        mode = rng.choice(list(ScanMode))
        limit = rng.choice((None, None, rng.randint(1, 20)))
        scan = new_scan(mode=mode, reverse=rng.random() < 0.5, keys_only=rng.random() < 0.3, limit=limit)
        if rng.random() < 0.2:
            scan.go_to(scan.place_of(self._key(rng)))
        followed = FollowedScan(self._oracle, self._counters, self._clock, mode, scan)
        error = yield from followed.run(rng.choice((None, None, rng.randint(0, 5))), self._swarm.scan_pause_ns)
        if isinstance(error, ScanInvalidated):
            token = scan.invalidated(error.cause).token
            again = FollowedScan(self._oracle, self._counters, self._clock, mode, new_scan(resume=token))
            error = yield from again.run(None)
        if error is not None and not isinstance(error, ScanInvalidated):
            _expect_read_error(error)

    def _flush(self, rng: random.Random) -> Steps:
        yield from self._maintain(Op.FLUSH, rng)

    def _compact(self, rng: random.Random) -> Steps:
        yield from self._maintain(Op.COMPACT, rng)

    def _delete_range(self, rng: random.Random) -> Steps:
        """Delete a range whose bounds are keys, or have none."""
        call = operations.delete_range(*self._bounds(rng), None, self._seconds)
        if call is not None:
            deleted = KeyRange(call.start, call.end)
            keys = [key for key in self._oracle.keys if key in deleted]
            yield from self._write(keys, [None] * len(keys), call, rng)

    def _count(self, rng: random.Random) -> Steps:
        """Count or estimate the keys of such a range."""
        call = operations.count(*self._bounds(rng), None, rng.random() < 0.3, self._seconds)
        if call is None:
            return
        invoked_ns = self._clock.now_ns()
        found, error = yield call
        if error is not None:
            return _expect_read_error(error)
        self._check_count(call, found, invoked_ns)

    # Parts of operations

    def _bounds(self, rng: random.Random) -> tuple[bytes | None, bytes | None]:
        start, end = sorted([self._key(rng), self._key(rng)])
        return rng.choice((start, start, None)), rng.choice((end, end, end + b"\0", None))

    def _check_count(self, call: Count, found: Estimate, invoked_ns: int) -> None:
        counted = KeyRange(call.start, call.end)
        window = invoked_ns, self._clock.now_ns()
        keys = [key for key in self._oracle.keys if key in counted]
        least = len([key for key in keys if not self._oracle.may_be_absent(key, *window)])
        most = len([key for key in keys if self._oracle.may_be_present(key, *window)])
        if found.error and not call.estimates:
            raise Violation(f"a count is not exact: {found}")
        if not (found.entries - found.error <= most and least <= found.entries + found.error):
            raise Violation(f"{found} keys of {counted} have a value, and not {least} to {most}")

    def _maintain(self, op: Op, rng: random.Random) -> Steps:
        if rng.random() < 0.5:
            start: bytes | None
            end: bytes | None
            start, end = sorted([self._key(rng), self._key(rng)])
            if start == end or rng.random() < 0.5:
                start = end = None
            _, error = yield operations.maintain(op, start, end, rng.random() < 0.7, self._seconds)
            if error is not None:
                _expect_read_error(error)

    def _change(self, key: bytes, expected: bytes | None, value: bytes | None, call: Call, rng: random.Random) -> Steps:
        """A compare-and-set. If its result or outcome says that it was not applied, it counts as a refused write."""
        write = self._oracle.invoke(key, value, self._clock.now_ns())
        done, error = yield call
        outcome = yield from self._outcome(error, rng)
        if error is None and not done:
            outcome = Outcome.REFUSED
        if outcome is Outcome.APPLIED:
            self._oracle.replace(write, expected, self._clock.now_ns())
        self._oracle.complete(write, outcome, self._clock.now_ns())

    def _write(self, keys: Sequence[bytes], values: Sequence[bytes | None], call: Call, rng: random.Random) -> Steps:
        now_ns = self._clock.now_ns()
        writes = [self._oracle.invoke(key, value, now_ns) for key, value in zip(keys, values, strict=True)]
        _, error = yield call
        outcome = yield from self._outcome(error, rng)
        for write in writes:
            self._oracle.complete(write, outcome, self._clock.now_ns())

    def _outcome(self, error: Exception | None, rng: random.Random) -> Generator[Call | int, Answer, Outcome]:
        """The outcome of a write. If it is in doubt, the owners are sometimes asked, at once or later."""
        if not isinstance(error, OutcomeUnknown) or rng.random() < 0.3:
            return _outcome(error)
        yield rng.choice((0, self._swarm.think_ns, SECOND_NS))
        token = from_bytes(error.token)
        endings = []
        for call in operations.outcome(token, self._seconds):
            ending, failure = yield call
            if failure is not None:
                _expect_read_error(failure)
                return Outcome.OPEN
            endings.append(ending)
        return _OUTCOMES.get(token.outcome(endings).state, Outcome.OPEN)

    def _read(self, keys: Sequence[bytes], call: Call) -> Steps:
        invoked_ns = self._clock.now_ns()
        answer, error = yield call
        if error is not None:
            _expect_read_error(error)
            return
        values = answer if isinstance(answer, list) else [answer]
        for key, value in zip(keys, values, strict=True):
            self._oracle.read(key, value, invoked_ns, self._clock.now_ns())

    def _scan_to_its_end(self, mode: ScanMode, reverse: bool, keys_only: bool) -> Steps:
        """Scan after all faults: only background work, such as a drain, may still end a scan, a few times at most."""
        scan = new_scan(mode=mode, reverse=reverse, keys_only=keys_only, timeout=10.0)
        for _ in range(INVALIDATIONS_MAX):
            error = yield from FollowedScan(self._oracle, self._counters, self._clock, mode, scan).run(None)
            if not isinstance(error, ScanInvalidated):
                return _expect_none(error)
            scan = new_scan(resume=scan.invalidated(error.cause).token, timeout=10.0)
        raise Violation(f"after all faults, a scan was ended {INVALIDATIONS_MAX} times")

    def _key(self, rng: random.Random) -> bytes:
        return rng.choice(self._swarm.keys)

    def _neighbours(self, rng: random.Random) -> list[bytes]:
        """Some keys in order, between which there is no counter."""
        keys = sorted((*self._swarm.keys, *self._counters.keys))
        first = keys.index(self._key(rng))
        near = [keys[first]]
        for key in keys[first + 1 : first + rng.choice((1, 2, 4, 12))]:
            if key in self._counters.keys:
                break
            near.append(key)
        return near

    def _some_keys(self, rng: random.Random) -> list[bytes]:
        return rng.sample(self._swarm.keys, rng.randint(1, len(self._swarm.keys)))

    def _value(self, rng: random.Random) -> bytes:
        unique = b"%010d" % next(self._values)
        return unique + b"." * rng.choice((0, 2, rng.randint(0, self._swarm.value_bytes_max)))


def _outcome(error: Exception | None) -> Outcome:
    if error is None:
        return Outcome.APPLIED
    if isinstance(error, OutcomeUnknown | StorageFailure):
        return Outcome.OPEN
    if isinstance(error, NOT_APPLIED):
        return Outcome.REFUSED
    raise Violation(f"a write ended with {error!r}")


def _expect_read_error(error: Exception) -> None:
    if not isinstance(error, Busy | Unavailable | StorageFailure):
        raise Violation(f"a read ended with {error!r}")


def _expect_none(error: Exception | None) -> None:
    if error is not None:
        raise Violation(f"after all faults, an operation failed: {error!r}")
