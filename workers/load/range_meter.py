"""Measures the work of one range: counters, rates that decay, and a sample of the keys that are used.

A request costs no more than a constant here, however many keys it has.

**Busy time is an estimate.** A core cannot read a clock, and the time between two events includes waiting. So a request
counts the average cost of its kind, keys and bytes. (The averages are CPU time of a worker, for calls of 1, 10 and 1000
keys and values of 100 and 4000 bytes.) The estimate is the same in a simulation. It is good for comparing ranges and
workers, but not to within a tenth. The extra cost of a lookup in many layers is not in it.

**Keys are sampled at equal steps of that cost,** at a random position in the request, so that a share of the sample is
a share of the work. The step follows the load: the sample covers the last LOAD_KEYS_MAX / SAMPLES_PER_S seconds.

**Appends are puts above the edge,** the highest key that was known at the last report. So they are recognised even if
several clients write in no exact order. The first key of a request decides for all its keys. Before the first report
there is no edge, and a put counts neither as a put nor as an append. Otherwise each new range would seem to be filled
at its end.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from shardstore.limits import KEY_BYTES_MAX, LOAD_KEYS_MAX, MILLISECOND_NS, SECOND_NS
from shardstore.seams.entropy import Entropy
from shardstore.wire.wire_format import WRITES, Op

REQUEST_NS = 20_000
"""Cost of any request: receive, check, append or look up, reply."""
ENTRY_NS = 400
"""Cost of each key of a request that is no scan."""
SCANNED_ENTRY_NS = 100
"""Cost of each entry of a page."""
WRITTEN_BYTES_PER_NS = 1
READ_BYTES_PER_NS = 4

TIME_CONSTANT_NS = 10 * SECOND_NS
"""What happened this long ago has the weight 1/e in the rates. Rates of a younger range are means over its life."""
SAMPLES_PER_S = 4
DRAWS_MAX = 4
"""Maximum number of samples from one request."""
FIRST_STEP_NS = MILLISECOND_NS
"""Cost between two samples while the load is not known."""

_PUTS = WRITES - {Op.DELETE, Op.DELETE_RANGE}
_WRITE_COST = (ENTRY_NS, WRITTEN_BYTES_PER_NS)
_COSTS: dict[int, tuple[int, int]] = {
    Op.GET: (ENTRY_NS, READ_BYTES_PER_NS),
    Op.SCAN: (SCANNED_ENTRY_NS, READ_BYTES_PER_NS),
    **dict.fromkeys(WRITES, _WRITE_COST),
}
"""By operation: nanoseconds for each entry, and bytes for each nanosecond."""


class RangeMeter:
    """The measurements of a range since its first report. `last` is the highest key known, empty if there is none."""

    def __init__(self, now_ns: int) -> None:
        self.since_ns = now_ns
        self.last = b""
        self.requests_per_s = 0.0
        self.operations_per_s = 0.0
        self.bytes_per_s = 0.0
        self.puts_per_s = 0.0
        self.appends_per_s = 0.0
        self.busy_ns_per_s = 0.0
        self.sample: deque[bytes] = deque(maxlen=LOAD_KEYS_MAX)
        self._edge = b""
        self._step_ns = FIRST_STEP_NS
        self._draw_at_ns = 0
        """The busy time at which the next sample is due."""
        self._updated_ns = now_ns
        self._start_counting()

    def note(self, op: int, keys: Sequence[bytes], entries: int, payload_bytes: int, entropy: Entropy) -> None:
        """Count one request; see LoadMeter.note."""
        entry_ns, bytes_per_ns = _COSTS[op]
        self._requests += 1
        self._operations += entries
        self._bytes += payload_bytes
        self._busy_ns += REQUEST_NS + entries * entry_ns + payload_bytes // bytes_per_ns
        if op in _PUTS:
            first, last = keys[0], keys[-1]
            if self._edge:
                self._puts += len(keys)
                if first > self._edge:
                    self._appends += len(keys)
            if first > self.last or last > self.last:
                self.last = first if first > last else last
        if self._busy_ns >= self._draw_at_ns:
            self._draw(keys, entropy)

    def update(self, last_stored: bytes, now_ns: int) -> None:
        """Update the rates from the counters and reset these. `last_stored`: highest key in tables, empty for none."""
        elapsed_ns = now_ns - self._updated_ns
        if elapsed_ns <= 0:
            return
        self._updated_ns = now_ns
        weight = max(1 - math.exp(-elapsed_ns / TIME_CONSTANT_NS), elapsed_ns / (now_ns - self.since_ns))
        per_s = SECOND_NS / elapsed_ns
        self.requests_per_s += weight * (self._requests * per_s - self.requests_per_s)
        self.operations_per_s += weight * (self._operations * per_s - self.operations_per_s)
        self.bytes_per_s += weight * (self._bytes * per_s - self.bytes_per_s)
        self.busy_ns_per_s += weight * (self._busy_ns * per_s - self.busy_ns_per_s)
        self.puts_per_s += weight * (self._puts * per_s - self.puts_per_s)
        self.appends_per_s += weight * (self._appends * per_s - self.appends_per_s)
        self._step_ns = max(1, int(self.busy_ns_per_s) // SAMPLES_PER_S)
        self._draw_at_ns = min(self._draw_at_ns - self._busy_ns, 2 * self._step_ns)
        self._edge = self.last = max(self.last, last_stored)
        self._start_counting()

    def _start_counting(self) -> None:
        self._requests = 0
        self._operations = 0
        self._bytes = 0
        self._busy_ns = 0
        self._puts = 0
        self._appends = 0

    def _draw(self, keys: Sequence[bytes], entropy: Entropy) -> None:
        """Take the sample that is due, and further ones that fall into the same request."""
        beyond_ns = self._busy_ns - self._draw_at_ns
        for _ in range(min(DRAWS_MAX, 1 + beyond_ns // self._step_ns)):
            self.sample.append(keys[entropy.below(len(keys))][:KEY_BYTES_MAX])  # a page may begin one byte behind a key
        self._draw_at_ns = self._busy_ns + entropy.below(2 * self._step_ns)
