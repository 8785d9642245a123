"""The stage of a topology change, computed from the reports of its workers. See shardstore/wire/topology.py.

    PENDING --every parent fenced--> FENCED --every child adopted--> ADOPTED --every parent drained--> DRAINED
            --every child materialised--> MATERIALISED --published--> gone

A parent that is given up counts as fenced and drained once nobody has it open, as does what a resolution discards
(shardstore/wire/topology.py).

A worker that restarts reports again from the start, so a change may fall back to an earlier stage. Only MATERIALISED
is final.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from enum import StrEnum
from typing import NamedTuple

from shardstore.wire.topology import Change, Progress


class Stage(StrEnum):
    """The stages of a change, in order."""

    PENDING = "pending"
    FENCED = "fenced"
    ADOPTED = "adopted"
    DRAINED = "drained"
    MATERIALISED = "materialised"


class StageStep(NamedTuple):
    """The condition for leaving a stage: the reports name all parents, or all children, in this field."""

    of_parents: bool
    field: str
    following: Stage


STEPS: dict[Stage, StageStep] = {
    Stage.PENDING: StageStep(True, "fenced", Stage.FENCED),
    Stage.FENCED: StageStep(False, "adopted", Stage.ADOPTED),
    Stage.ADOPTED: StageStep(True, "drained", Stage.DRAINED),
    Stage.DRAINED: StageStep(False, "materialised", Stage.MATERIALISED),
}


def stage_of(change: Change, reports: Iterable[Progress], gone: Container[int] = ()) -> Stage:
    """Compute the stage of a change from the latest report of each worker.

    `gone`: the abandoned segments that no process has open.
    """
    reports = list(reports)
    if not all(each.segment in gone for each in change.abandoned):
        return Stage.PENDING
    if _is_done(change, reports, STEPS[Stage.DRAINED]):  # the children own the files, whatever the parents report
        return Stage.MATERIALISED
    stage = Stage.PENDING
    while stage in STEPS and _is_done(change, reports, STEPS[stage]):
        stage = STEPS[stage].following
    return stage


def _is_done(change: Change, reports: Iterable[Progress], step: StageStep) -> bool:
    relatives = change.kept_parents if step.of_parents else change.children
    return all(any(each.segment in getattr(report, step.field) for report in reports) for each in relatives)
