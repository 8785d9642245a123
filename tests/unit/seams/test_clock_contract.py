"""The contract of the clock and entropy seams, tested on every form."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter

import pytest

from shardstore.seams.clock import Clock
from shardstore.seams.entropy import Entropy
from shardstore.system.system_clock import SystemClock
from shardstore.system.system_entropy import SystemEntropy
from tests.simulation.sim_clock import SimClock
from tests.simulation.sim_entropy import SimEntropy


@pytest.mark.parametrize("clock", [SystemClock(), SimClock(random.Random(1))])
def test_time_is_in_whole_nanoseconds_and_never_goes_back(clock: Clock) -> None:
    times = [clock.now_ns() for _ in range(1_000)]
    assert all(type(time) is int for time in times)
    assert times == sorted(times)


@pytest.mark.parametrize("entropy", [SystemEntropy(), SimEntropy(1, "name")])
def test_every_number_below_the_bound_comes_up_and_no_other(entropy: Entropy) -> None:
    counts = Counter(entropy.below(4) for _ in range(2_000))
    assert sorted(counts) == [0, 1, 2, 3]
    assert min(counts.values()) > 200
    assert entropy.below(1) == 0
    assert max(entropy.below(2**64) for _ in range(100)) > 2**60


def test_simulated_time_jumps_from_one_thing_to_the_next() -> None:
    clock = SimClock(random.Random(1))
    happened: list[tuple[int, str]] = []
    for delay_ns, name in ((30, "late"), (10, "early"), (10, "too")):
        clock.after(delay_ns, lambda name=name: happened.append((clock.now_ns(), name)))  # type: ignore[misc]
    while clock.advance(20):
        pass
    assert sorted(happened) == [(10, "early"), (10, "too")]
    assert clock.now_ns() == 20
    assert clock.advance(1_000)
    assert happened[-1] == (30, "late")


def test_things_due_together_happen_in_an_order_of_the_seed() -> None:
    def order(seed: int) -> list[int]:
        clock = SimClock(random.Random(seed))
        happened: list[int] = []
        for number in range(6):
            clock.at(5, lambda number=number: happened.append(number))  # type: ignore[misc]
        while clock.advance(5):
            pass
        return happened

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(20)}) > 10


def test_streams_of_one_seed_differ_by_name_and_not_by_hash_seed() -> None:
    program = (
        "from tests.simulation.sim_entropy import SimEntropy\n"
        "print([SimEntropy(7, name).below(10**9) for name in ('one', 'two')])\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True, text=True
        ).stdout
        for seed in ("0", "1")
    }
    assert len(outputs) == 1
    one, two = [SimEntropy(7, name).below(10**9) for name in ("one", "two")]
    assert one != two
