"""The back-off of restarts."""

from __future__ import annotations

import pytest

from shardstore.cluster.restart_policy import LONGEST_DELAY_NS, STEADY_NS, RestartPolicy
from shardstore.limits import MILLISECOND_NS


@pytest.mark.fault("R6")
def test_delays_double_up_to_five_seconds_and_stay_there_for_ever() -> None:
    policy = RestartPolicy()
    delays = [policy.delay_after_ns(0) // MILLISECOND_NS for _ in range(9)]
    assert delays == [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]
    assert {policy.delay_after_ns(0) for _ in range(10_000)} == {LONGEST_DELAY_NS}
    assert policy.quick_deaths == 10_009


def test_a_long_life_forgets_earlier_deaths() -> None:
    policy = RestartPolicy()
    for _ in range(20):
        policy.delay_after_ns(STEADY_NS - 1)
    assert policy.delay_after_ns(STEADY_NS) == 100 * MILLISECOND_NS
    assert policy.delay_after_ns(0) == 100 * MILLISECOND_NS
    assert policy.delay_after_ns(0) == 200 * MILLISECOND_NS
