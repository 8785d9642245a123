"""The states of a segment, and the steps between them.

    READY --PREPARE--> FREEZE --START--> MAINTENANCE_RUNNING --SWAP | FAIL--> FREEZE --RESUME--> READY
                          ^                    |      ^                         |
                          +------PREPARE-------+      +--------CONTINUE---------+
    any but ERROR, CLOSED --DAMAGE--> ERROR        any but CLOSED --CLOSE--> CLOSED

FREEZE is short: the inputs of a job are fixed, or its result is taken over. A drain may run during a compaction of the
segment; the state is READY again when both have ended. Reads and writes go on in every state except CLOSED and, if
damage kept the segment from being opened, ERROR.
"""

from __future__ import annotations

from enum import StrEnum


class SegmentState(StrEnum):
    """The state of a segment."""

    READY = "READY"
    FREEZE = "FREEZE"
    MAINTENANCE_RUNNING = "MAINTENANCE_RUNNING"
    ERROR = "ERROR"
    CLOSED = "CLOSED"


class SegmentStep(StrEnum):
    """What moves a segment to its next state."""

    PREPARE = "PREPARE"
    """The inputs of a job are fixed."""
    START = "START"
    """The job runs."""
    SWAP = "SWAP"
    """The job succeeded; its result is taken over."""
    FAIL = "FAIL"
    """The job failed; the segment is served as before."""
    RESUME = "RESUME"
    """No other job of the segment runs."""
    CONTINUE = "CONTINUE"
    """Another job of the segment goes on."""
    DAMAGE = "DAMAGE"
    """Damage was found that a retry cannot mend: no job of the segment runs any more."""
    CLOSE = "CLOSE"
    """The worker stops."""


_OPEN = (SegmentState.READY, SegmentState.FREEZE, SegmentState.MAINTENANCE_RUNNING)
TRANSITIONS: dict[tuple[SegmentState, SegmentStep], SegmentState] = {
    (SegmentState.READY, SegmentStep.PREPARE): SegmentState.FREEZE,
    (SegmentState.FREEZE, SegmentStep.START): SegmentState.MAINTENANCE_RUNNING,
    (SegmentState.MAINTENANCE_RUNNING, SegmentStep.SWAP): SegmentState.FREEZE,
    (SegmentState.MAINTENANCE_RUNNING, SegmentStep.FAIL): SegmentState.FREEZE,
    (SegmentState.FREEZE, SegmentStep.RESUME): SegmentState.READY,
    (SegmentState.FREEZE, SegmentStep.CONTINUE): SegmentState.MAINTENANCE_RUNNING,
    (SegmentState.MAINTENANCE_RUNNING, SegmentStep.PREPARE): SegmentState.FREEZE,
    **{(state, SegmentStep.DAMAGE): SegmentState.ERROR for state in _OPEN},
    **{(state, SegmentStep.CLOSE): SegmentState.CLOSED for state in (*_OPEN, SegmentState.ERROR)},
}
"""The state after each step. A step that is missing is impossible."""


def state_after(state: SegmentState, step: SegmentStep) -> SegmentState:
    """The state after the step. Raises AssertionError for a step that is impossible there."""
    following = TRANSITIONS.get((state, step))
    if following is None:
        raise AssertionError(f"no {step} of a segment that is {state}")
    return following
