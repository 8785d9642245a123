"""The states of a segment: each step leads to the state in the table, and impossible steps are refused."""

from __future__ import annotations

from itertools import product

import pytest

from shardstore.workers.segment.state import TRANSITIONS, SegmentState, SegmentStep, state_after

READY, FREEZE, RUNNING = SegmentState.READY, SegmentState.FREEZE, SegmentState.MAINTENANCE_RUNNING
ERROR, CLOSED = SegmentState.ERROR, SegmentState.CLOSED
PREPARE, START, SWAP, FAIL = SegmentStep.PREPARE, SegmentStep.START, SegmentStep.SWAP, SegmentStep.FAIL
RESUME, CONTINUE, DAMAGE, CLOSE = SegmentStep.RESUME, SegmentStep.CONTINUE, SegmentStep.DAMAGE, SegmentStep.CLOSE


def walk(*steps: SegmentStep) -> list[SegmentState]:
    """The states reached from READY by these steps."""
    states = [READY]
    for step in steps:
        states.append(state_after(states[-1], step))
    return states


def test_a_job_that_ends_well() -> None:
    assert walk(PREPARE, START, SWAP, RESUME) == [
        READY,
        FREEZE,
        RUNNING,
        FREEZE,
        READY,
    ]


def test_a_job_that_fails_is_followed_by_another_try() -> None:
    failed = walk(PREPARE, START, FAIL, RESUME, PREPARE)
    assert failed == [READY, FREEZE, RUNNING, FREEZE, READY, FREEZE]


@pytest.mark.parametrize("end", [SWAP, FAIL])
def test_a_compaction_goes_on_when_the_drain_that_overtook_it_ends(end: SegmentStep) -> None:
    states = walk(
        PREPARE,
        START,
        PREPARE,
        START,
        end,
        CONTINUE,
        SWAP,
        RESUME,
    )
    assert states == [READY, FREEZE, RUNNING, FREEZE, RUNNING, FREEZE, RUNNING, FREEZE, READY]


@pytest.mark.fault("W6")
@pytest.mark.parametrize("state", [READY, FREEZE, RUNNING])
def test_damage_ends_all_maintenance(state: SegmentState) -> None:
    assert state_after(state, DAMAGE) is ERROR
    assert [step for step in SegmentStep if (ERROR, step) in TRANSITIONS] == [CLOSE]


@pytest.mark.parametrize("state", [READY, FREEZE, RUNNING, ERROR])
def test_everything_can_be_closed_once(state: SegmentState) -> None:
    assert state_after(state, CLOSE) is CLOSED
    assert not [step for step in SegmentStep if (CLOSED, step) in TRANSITIONS]


IMPOSSIBLE = sorted(set(product(SegmentState, SegmentStep)) - TRANSITIONS.keys())


@pytest.mark.parametrize(("state", "step"), IMPOSSIBLE)
def test_impossible_steps_are_refused(state: SegmentState, step: SegmentStep) -> None:
    with pytest.raises(AssertionError, match=f"no {step} of a segment that is {state}"):
        state_after(state, step)


def test_where_steps_begin() -> None:
    sources = {step: [state for state in SegmentState if (state, step) in TRANSITIONS] for step in SegmentStep}
    assert sources[PREPARE] == [READY, RUNNING]
    assert sources[START] == sources[RESUME] == sources[CONTINUE] == [FREEZE]
    assert sources[SWAP] == sources[FAIL] == [RUNNING]
