"""The stages of a change: every step of the table, forward and back."""

from __future__ import annotations

from itertools import combinations

import pytest

from shardstore.router.change_stage import STEPS, Stage, stage_of
from shardstore.wire.topology import Change, Progress, Relative

FIELDS = ("fenced", "adopted", "drained", "materialised")

SPLIT = Change(
    1,
    "split",
    (Relative(1, b"", b"", 0, 3),),
    (Relative(2, b"", b"m", 0), Relative(3, b"m", b"", 1)),
)
MERGE = Change(
    2,
    "merge",
    (Relative(1, b"", b"m", 0, 3), Relative(2, b"m", b"", 1, 4)),
    (Relative(3, b"", b"", 0),),
)


def report(number: int, **segments: list[int]) -> Progress:
    """A report with these segments by field."""
    fenced = dict.fromkeys(segments.pop("fenced", []))
    return Progress(number, fenced, **segments)


def test_every_stage_but_the_last_has_a_step_and_each_leads_to_the_next() -> None:
    stages = list(Stage)
    assert [*STEPS] == stages[:-1]
    assert [step.following for step in STEPS.values()] == stages[1:]


@pytest.mark.parametrize("change", [SPLIT, MERGE])
def test_a_change_goes_through_its_stages_one_by_one(change: Change) -> None:
    done: dict[str, list[int]] = {}
    assert stage_of(change, []) is Stage.PENDING
    for stage, step in STEPS.items():
        relatives = change.parents if step.of_parents else change.children
        assert stage_of(change, [report(change.number, **done)]) is stage
        for count in range(len(relatives)):  # all segments but one are not enough
            for some in combinations(relatives, count):
                segments = [each.segment for each in some]
                assert stage_of(change, [report(change.number, **done, **{step.field: segments})]) is stage
        done[step.field] = [each.segment for each in relatives]
    assert stage_of(change, [report(change.number, **done)]) is Stage.MATERIALISED


def test_what_each_worker_reports_of_its_own_is_taken_together() -> None:
    of_one = report(1, fenced=[1], adopted=[2])
    assert stage_of(SPLIT, [of_one]) is Stage.FENCED
    assert stage_of(SPLIT, [of_one, report(1, adopted=[3])]) is Stage.ADOPTED
    assert stage_of(MERGE, [report(2, fenced=[1]), report(2)]) is Stage.PENDING
    assert stage_of(MERGE, [report(2, fenced=[1]), report(2, fenced=[2])]) is Stage.FENCED


@pytest.mark.parametrize("lost", FIELDS[:3])
def test_a_change_falls_back_to_what_is_still_reported(lost: str) -> None:
    of_parents = {"fenced": [1], "drained": [1]}
    of_children = {"adopted": [2, 3]}
    all_of_it = of_parents | of_children
    before = {field: all_of_it[field] for field in FIELDS[:3]}
    assert stage_of(SPLIT, [report(1, **before)]) is Stage.DRAINED
    del before[lost]
    assert stage_of(SPLIT, [report(1, **before)]) is list(Stage)[FIELDS.index(lost)]


def test_what_is_materialised_does_not_fall_back() -> None:
    assert stage_of(SPLIT, [report(1, materialised=[2, 3])]) is Stage.MATERIALISED
    assert stage_of(SPLIT, [report(1, materialised=[2])]) is Stage.PENDING


def test_segments_of_other_changes_count_for_nothing() -> None:
    assert stage_of(SPLIT, [report(1, fenced=[2, 3], adopted=[1], materialised=[1])]) is Stage.PENDING
