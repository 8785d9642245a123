"""The calls measured by a load process: those under way at a time, and the keys answered then."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from benchmarks.clusters import WrongAnswer
from benchmarks.load_process import Calls, Load, keys_of_calls

CALLS = Calls(10, np.array([0, 100, 200, 300]), np.array([50, 150, 20, 1_000]))


@pytest.mark.parametrize(
    ("started", "ended", "due"),
    [(0, 1, [0]), (50, 100, [0]), (51, 100, []), (210, 220, [100, 200]), (260, 2_000, [300]), (1_301, 2_000, [])],
)
def test_a_call_is_between_two_times_when_it_was_under_way_at_any_time_between(
    started: int, ended: int, due: list[int]
) -> None:
    assert CALLS.between(started, ended).due_ns.tolist() == due


def test_keys_count_where_their_call_ends() -> None:
    assert CALLS.keys_answered(0, 251) == 30
    assert CALLS.keys_answered(50, 51) == 10
    assert CALLS.keys_answered(251, 1_300) == 0


def test_latencies_are_those_of_the_chosen_calls() -> None:
    assert CALLS.between(0, 210).latency() == {"p50_us": 0.05, "p99_us": 0.15, "max_us": 0.15}
    with pytest.raises(WrongAnswer):
        CALLS.between(51, 100).latency()


def test_keys_are_taken_again_and_again_or_ascend() -> None:
    assert list(itertools.islice(keys_of_calls(Load("", [b"a", b"b", b"c"], 2)), 3)) == [
        [b"a", b"b"],
        [b"c", b"a"],
        [b"b", b"c"],
    ]
    ascending = list(itertools.chain.from_iterable(itertools.islice(keys_of_calls(Load("", batch=2)), 100)))
    assert ascending == sorted(ascending)
    assert len(set(ascending)) == 200
