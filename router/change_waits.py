"""What a change under way waits for, in words for an operator. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable

from shardstore.router.change_stage import STEPS, Stage
from shardstore.router.membership import Membership, MemberState
from shardstore.wire.topology import Change, Progress, Relative

_FOR: dict[Stage, str] = {
    Stage.PENDING: "is fenced",
    Stage.FENCED: "accepts writes",
    Stage.ADOPTED: "has all its data in files",
    Stage.DRAINED: "has files of its own",
}


def waits_for(
    change: Change, stage: Stage, reports: Iterable[Progress], gone: Container[int], membership: Membership
) -> list[str]:
    """What must happen before the next stage, one line each; nothing for the last stage.

    `reports`: the latest of each worker. `gone`: the abandoned segments that no process has open.
    """
    reports = list(reports)
    lines = [
        f"worker {each.worker} says that it does not have segment {each.segment} open, which was given up"
        f"{_state_of(each.worker, membership)}"
        for each in change.abandoned
        if each.segment not in gone
    ]
    step = STEPS.get(stage)
    if lines or step is None:
        return lines
    relatives = change.kept_parents if step.of_parents else change.children
    return [
        f"segment {each.segment} {_FOR[stage]}{_why(each, reports, membership)}"
        for each in relatives
        if not any(each.segment in getattr(report, step.field) for report in reports)
    ]


def _why(each: Relative, reports: Iterable[Progress], membership: Membership) -> str:
    trouble = next((report.trouble[each.segment] for report in reports if each.segment in report.trouble), "")
    return f"; {trouble}" if trouble else _state_of(each.worker, membership)


def _state_of(worker: int, membership: Membership) -> str:
    """What keeps a worker from taking part; empty if nothing does."""
    member = membership.of_worker(worker)
    if member is None or member.state is not MemberState.UP:
        return f"; worker {worker} is {member.state if member else MemberState.DOWN}"
    return f"; worker {worker}: {member.trouble}" if member.trouble else ""
