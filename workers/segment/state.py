"""The states of a segment, and the steps between them.

    READY --SEAL--> FREEZE --START--> MAINTENANCE_RUNNING --SWAP | FAIL--> FREEZE --RESUME--> READY
                       ^                    |      ^                         |
                       +--------SEAL--------+      +--------CONTINUE---------+
    any but CLOSED --DAMAGE--> ERROR           any but CLOSED --CLOSE--> CLOSED

FREEZE is short: what a job is to read is fixed, or what it has written is taken over. A drain may overtake a compaction
of the segment; the state is READY again when both have ended. Reads and writes go on in every state but CLOSED and,
where damage kept the segment from opening, ERROR.
"""

from __future__ import annotations

from enum import StrEnum


class SegmentState(StrEnum):
    """What becomes of a segment now."""

    READY = "READY"
    FREEZE = "FREEZE"
    MAINTENANCE_RUNNING = "MAINTENANCE_RUNNING"
    ERROR = "ERROR"
    CLOSED = "CLOSED"


class Step(StrEnum):
    """What moves a segment on."""

    SEAL = "SEAL"
    """The inputs of a job are fixed."""
    START = "START"
    """The job runs."""
    SWAP = "SWAP"
    """It ended well; its result is taken over."""
    FAIL = "FAIL"
    """It ended badly; what was served is served as before."""
    RESUME = "RESUME"
    """No other job of the segment runs."""
    CONTINUE = "CONTINUE"
    """Another job of the segment goes on."""
    DAMAGE = "DAMAGE"
    """Damage was met that another try cannot help: no job of the segment runs any more."""
    CLOSE = "CLOSE"
    """The worker stops."""


_OPEN = (SegmentState.READY, SegmentState.FREEZE, SegmentState.MAINTENANCE_RUNNING)
TRANSITIONS: dict[tuple[SegmentState, Step], SegmentState] = {
    (SegmentState.READY, Step.SEAL): SegmentState.FREEZE,
    (SegmentState.FREEZE, Step.START): SegmentState.MAINTENANCE_RUNNING,
    (SegmentState.MAINTENANCE_RUNNING, Step.SWAP): SegmentState.FREEZE,
    (SegmentState.MAINTENANCE_RUNNING, Step.FAIL): SegmentState.FREEZE,
    (SegmentState.FREEZE, Step.RESUME): SegmentState.READY,
    (SegmentState.FREEZE, Step.CONTINUE): SegmentState.MAINTENANCE_RUNNING,
    (SegmentState.MAINTENANCE_RUNNING, Step.SEAL): SegmentState.FREEZE,
    **{(state, Step.DAMAGE): SegmentState.ERROR for state in _OPEN},
    **{(state, Step.CLOSE): SegmentState.CLOSED for state in (*_OPEN, SegmentState.ERROR)},
}
"""Where each step leads. What is missing is impossible."""


def after(state: SegmentState, step: Step) -> SegmentState:
    """The state after the step. Raises AssertionError for a step that is impossible there."""
    following = TRANSITIONS.get((state, step))
    if following is None:
        raise AssertionError(f"no {step} of a segment that is {state}")
    return following
