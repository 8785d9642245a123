"""Back-off of restarts."""

from __future__ import annotations

from shardstore.cluster.restart_policy import QUICK_DEATHS_MAX, STEADY_NS, RestartPolicy
from shardstore.limits import MILLISECOND_NS


def test_delays_double_up_to_five_seconds_and_then_the_process_is_given_up() -> None:
    policy = RestartPolicy()
    delays = [policy.delay_after_ns(0) for _ in range(QUICK_DEATHS_MAX)]
    assert [delay and delay // MILLISECOND_NS for delay in delays] == [
        100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, None,
    ]  # fmt: skip


def test_a_long_life_forgets_earlier_deaths() -> None:
    policy = RestartPolicy()
    for _ in range(QUICK_DEATHS_MAX - 1):
        policy.delay_after_ns(STEADY_NS - 1)
    assert policy.delay_after_ns(STEADY_NS) == 100 * MILLISECOND_NS
    assert policy.delay_after_ns(0) == 100 * MILLISECOND_NS
    assert policy.delay_after_ns(0) == 200 * MILLISECOND_NS
