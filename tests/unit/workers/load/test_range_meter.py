"""The measurements of one range: decaying rates, keys sampled by work, and appends detected at the right edge."""

from __future__ import annotations

import pytest

from shardstore.limits import LOAD_KEYS_MAX, SECOND_NS
from shardstore.wire.wire_format import Op
from shardstore.workers.load.range_meter import ENTRY_NS, REQUEST_NS, SCANNED_ENTRY_NS, RangeMeter
from tests.simulation.sim_entropy import SimEntropy


class Measured:
    """A meter with a clock and a random source."""

    def __init__(self, seed: int = 1) -> None:
        self.now_ns = 5 * SECOND_NS
        self.meter = RangeMeter(self.now_ns)
        self.entropy = SimEntropy(seed, "load")

    def note(self, op: Op, keys: list[bytes], entries: int = 0, payload_bytes: int = 0) -> None:
        self.meter.note(op, keys, entries or len(keys), payload_bytes, self.entropy)

    def second(self, last_stored: bytes = b"") -> None:
        self.now_ns += SECOND_NS
        self.meter.update(last_stored, self.now_ns)


def key(number: int) -> bytes:
    return b"k%09d" % number


def test_rates_approach_what_happens_and_forget_it() -> None:
    measured = Measured()
    for _ in range(60):
        for _ in range(50):
            measured.note(Op.GET, [key(1), key(2)], payload_bytes=100)
        measured.second()
    meter = measured.meter
    assert meter.requests_per_s == pytest.approx(50, rel=0.01)
    assert meter.operations_per_s == pytest.approx(100, rel=0.01)
    assert meter.bytes_per_s == pytest.approx(5_000, rel=0.01)
    assert meter.busy_ns_per_s == pytest.approx(50 * (REQUEST_NS + 2 * ENTRY_NS + 25), rel=0.01)
    for _ in range(10):
        measured.second()
    assert meter.requests_per_s == pytest.approx(50 / 2.718, rel=0.05), "a time constant later"


def test_a_rate_does_not_depend_on_how_often_it_is_taken() -> None:
    often, seldom = Measured(), Measured()
    for second in range(1, 31):
        for measured in (often, seldom):
            measured.note(Op.GET, [key(1)] * 30)
        often.second()
        seldom.now_ns += SECOND_NS
        if second % 3 == 0:
            seldom.meter.update(b"", seldom.now_ns)
    assert often.meter.operations_per_s == pytest.approx(seldom.meter.operations_per_s, rel=0.01)


def test_rates_of_a_young_range_are_means_over_its_life() -> None:
    measured = Measured()
    for requests in (0, 300, 0):
        for _ in range(requests):
            measured.note(Op.GET, [key(1), key(2)])
        measured.second()
    assert measured.meter.requests_per_s == pytest.approx(100)
    assert measured.meter.operations_per_s == pytest.approx(200)


def test_an_update_without_time_loses_nothing() -> None:
    measured = Measured()
    measured.note(Op.GET, [key(1)] * 1_000)
    measured.meter.update(b"", measured.now_ns)
    measured.second()
    assert measured.meter.operations_per_s == 1_000


def test_a_page_of_a_scan_costs_by_its_entries() -> None:
    measured = Measured()
    measured.note(Op.SCAN, [key(1)], entries=10_000)
    measured.second()
    assert measured.meter.busy_ns_per_s == REQUEST_NS + 10_000 * SCANNED_ENTRY_NS


@pytest.mark.parametrize("per_second", [1, 40, 3_000])
def test_the_sample_holds_the_last_seconds_whatever_the_rate(per_second: int) -> None:
    measured = Measured()
    for second in range(100):
        for _ in range(per_second):
            measured.note(Op.GET, [key(second)])
        measured.second()
    seconds = [int(sampled[1:]) for sampled in measured.meter.sample]
    assert seconds == sorted(seconds), "the oldest first"
    assert len(seconds) == LOAD_KEYS_MAX
    if per_second > 1:
        assert 100 - 14 <= min(seconds) <= 100 - 5


def test_keys_are_sampled_by_the_work_at_them() -> None:
    """A few large requests, and the same work in many small ones: each gets half of the sample."""
    shares = []
    for seed in range(40):
        measured = Measured(seed)
        for _ in range(30):
            for batch in range(10):
                for _ in range(22):  # about the work of a batch of 1000
                    measured.note(Op.GET, [b"small"])
                measured.note(Op.GET, [b"large%04d" % (batch + at) for at in range(1_000)])
            measured.second()
        sample = list(measured.meter.sample)
        shares.append(sum(sampled == b"small" for sampled in sample) / len(sample))
    assert sum(shares) / len(shares) == pytest.approx(0.53, abs=0.06)


def test_every_place_in_a_batch_is_sampled() -> None:
    measured = Measured()
    batch = [key(at) for at in range(1_000)]
    seen: set[bytes] = set()
    for _ in range(200):
        for _ in range(20):
            measured.note(Op.PUT, batch)
        measured.second()
        seen |= set(measured.meter.sample)
    places = [int(sampled[1:]) for sampled in seen]
    assert len(seen) > 300
    assert min(places) < 20
    assert max(places) > 980


def test_the_same_entropy_draws_the_same_sample() -> None:
    samples = []
    for _ in range(2):
        measured = Measured(7)
        for second in range(20):
            for at in range(100):
                measured.note(Op.PUT, [key(second * 100 + at + of) for of in range(10)])
            measured.second()
        samples.append(list(measured.meter.sample))
    assert samples[0] == samples[1]


def append_share(measured: Measured) -> float:
    return measured.meter.appends_per_s / measured.meter.puts_per_s


@pytest.mark.parametrize("batch", [1, 100])
def test_sequential_inserts_are_appends(batch: int) -> None:
    measured = Measured()
    for at in range(0, 3_000 * batch, batch):
        measured.note(Op.PUT, [key(at + of) for of in range(batch)])
        if at % (100 * batch) == 0:
            measured.second()
    assert append_share(measured) > 0.99


def test_appends_of_several_clients_in_no_exact_order_are_appends() -> None:
    measured = Measured()
    entropy = SimEntropy(3, "jitter")
    for at in range(3_000):
        measured.note(Op.PUT, [key(at * 10 + entropy.below(200))])
        if at % 100 == 0:
            measured.second()
    assert append_share(measured) > 0.8


def test_random_inserts_are_no_appends() -> None:
    measured = Measured()
    entropy = SimEntropy(3, "keys")
    for at in range(10_000):
        measured.note(Op.PUT, [key(entropy.below(10**9)) for _ in range(3)])
        if at % 100 == 0:
            measured.second()
    assert append_share(measured) < 0.01


def test_what_a_new_range_takes_first_does_not_tell_where_it_is_filled() -> None:
    measured = Measured()
    measured.note(Op.PUT, [key(number) for number in range(5_000)])
    measured.second()
    assert (measured.meter.puts_per_s, measured.meter.appends_per_s) == (0, 0)


@pytest.mark.parametrize(("low", "share"), [(5_000, 1.0), (0, 0.0)])
def test_the_next_report_tells_it(low: int, share: float) -> None:
    measured = Measured()
    for first in (0, low):
        measured.note(Op.PUT, [key(first + number) for number in range(5_000)])
        measured.second()
    assert append_share(measured) == share


def test_writing_what_is_stored_again_in_order_is_no_append() -> None:
    measured = Measured()
    measured.second(last_stored=key(10**6))
    for at in range(3_000):
        measured.note(Op.PUT, [key(at)])
        if at % 100 == 0:
            measured.second(last_stored=key(10**6))
    assert append_share(measured) == 0
    assert measured.meter.last == key(10**6)


def test_deletes_and_reads_are_not_puts() -> None:
    measured = Measured()
    measured.note(Op.DELETE, [key(5)])
    measured.note(Op.GET, [key(6)])
    measured.note(Op.SCAN, [key(7)])
    measured.second()
    assert (measured.meter.puts_per_s, measured.meter.last) == (0, b"")
