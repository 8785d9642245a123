"""What takes the place of a change that an operator resolves, what that may lose, and what a change waits for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shardstore.errors import InvalidRequest
from shardstore.identifiers import SegmentId, WorkerId
from shardstore.router.change_stage import Stage, stage_of
from shardstore.router.change_waits import waits_for
from shardstore.router.membership import Membership, MemberState
from shardstore.router.resolutions import NOT_IN_FILES, SINCE_THE_CHANGE, UNREADABLE_TABLES, losses, resolved
from shardstore.router.route_table import Topology
from shardstore.wire.admin_messages import Loss
from shardstore.wire.route_map import Route, RouteMap
from shardstore.wire.topology import Change, Progress, Relative, Resolution

LEFT, RIGHT = Relative(1, b"", b"m", 0, 4), Relative(2, b"m", b"", 1, 5)
MERGE = Change(7, "merge", (LEFT, RIGHT), (Relative(5, b"", b"", 1),))
TOPOLOGY = Topology(
    RouteMap(9, (Route(b"", SegmentId(5), WorkerId(1), 1),)),  # type: ignore[arg-type]
    segment_next=6,
    change_next=8,
    changes=(MERGE,),
    workers=(0, 1),
)
CANCEL, COMPLETE = Resolution.CANCEL, Resolution.COMPLETE


@pytest.fixture
def membership() -> Membership:
    membership = Membership()
    for worker in (0, 1):
        member = membership.join(WorkerId(worker), b"peer %d" % worker, "", 0)
        member.state = MemberState.UP
    return membership


def test_each_parent_of_a_cancelled_change_gets_a_child_of_its_own() -> None:
    first, second = resolved(TOPOLOGY, MERGE, CANCEL, [])
    assert (first.number, second.number) == (8, 9)
    assert [each.children for each in (first, second)] == [
        (Relative(6, b"", b"m", 0),),
        (Relative(7, b"m", b"", 1),),
    ]
    for each in (first, second):
        assert (each.instead_of, each.discarded, each.resolution) == (7, MERGE.children, "cancel")
        assert each.is_local, "what is discarded elsewhere does not count"
        assert each.workers == {each.parents[0].worker, 1}


def test_what_was_discarded_before_is_discarded_still() -> None:
    first, _ = resolved(TOPOLOGY, MERGE, CANCEL, [])
    following = replace(TOPOLOGY, segment_next=8, change_next=10)
    [again] = resolved(following, first, CANCEL, [])
    assert [each.segment for each in again.discarded] == [5, 6]


def test_a_completed_change_gives_up_what_is_stuck_and_what_was_given_up_before() -> None:
    [once] = resolved(TOPOLOGY, MERGE, COMPLETE, [2])
    assert (once.number, once.given_up, once.children) == (7, (2,), MERGE.children)
    assert once.kept_parents == [LEFT]
    [twice] = resolved(TOPOLOGY, once, COMPLETE, [1])
    assert twice.given_up == (1, 2)
    with pytest.raises(InvalidRequest, match="cannot be cancelled any more"):
        resolved(TOPOLOGY, once, CANCEL, [])


def test_the_losses_name_segments_keys_and_as_many_entries_as_are_known() -> None:
    report = Progress(7, drained=[2], trouble={2: "a table is damaged"}, entries={1: 3}, bytes={1: 40})
    following = resolved(TOPOLOGY, MERGE, COMPLETE, [1, 2])
    assert losses(MERGE, following, [report], may_hold_writes=True) == [
        Loss(1, b"", b"m", NOT_IN_FILES, is_counted=True, entries=3, size_bytes=40),
        Loss(2, b"m", b"", f"{UNREADABLE_TABLES} (a table is damaged)"),
    ]
    following = resolved(TOPOLOGY, MERGE, CANCEL, [])
    assert losses(MERGE, following, [], may_hold_writes=True) == [Loss(5, b"", b"", SINCE_THE_CHANGE)]
    assert losses(MERGE, following, [], may_hold_writes=False) == []


def test_a_change_has_no_later_stage_before_nobody_has_what_was_abandoned() -> None:
    [change] = resolved(TOPOLOGY, MERGE, COMPLETE, [2])
    fenced = Progress(7, fenced={1: None}, adopted=[5], drained=[1], materialised=[5])
    assert stage_of(change, [fenced], gone=()) is Stage.PENDING
    assert stage_of(change, [fenced], gone={2}) is Stage.MATERIALISED
    assert stage_of(change, [replace(fenced, materialised=[])], gone={2}) is Stage.DRAINED, "by its other parent alone"


def test_what_a_change_waits_for_is_said_with_its_cause(membership: Membership) -> None:
    def waits(stage: Stage, *reports: Progress) -> list[str]:
        return waits_for(MERGE, stage, reports, (), membership)

    assert waits(Stage.PENDING, Progress(7, fenced={1: None})) == ["segment 2 is fenced"]
    membership.lose(member := membership.members()[1])
    assert waits(Stage.PENDING) == ["segment 1 is fenced", "segment 2 is fenced; worker 1 is down"]
    member = membership.join(WorkerId(1), b"again", "", 0, failure="its log is damaged")
    member.state = MemberState.UP
    assert waits(Stage.FENCED) == ["segment 5 accepts writes; worker 1: its log is damaged"]
    damaged = Progress(7, drained=[2], trouble={1: "MANIFEST: checksum"})
    assert waits(Stage.ADOPTED, damaged) == ["segment 1 has all its data in files; MANIFEST: checksum"]
    assert waits(Stage.DRAINED) == ["segment 5 has files of its own; worker 1: its log is damaged"]
    assert waits(Stage.MATERIALISED) == []


def test_a_resolved_change_waits_for_those_who_may_have_an_abandoned_segment(membership: Membership) -> None:
    [change] = resolved(TOPOLOGY, MERGE, COMPLETE, [1])
    membership.lose(membership.members()[0])
    words = "worker 0 says that it does not have segment 1 open, which was given up; worker 0 is down"
    assert waits_for(change, Stage.PENDING, [], (), membership) == [words]
    assert waits_for(change, Stage.PENDING, [], {1}, membership) == ["segment 2 is fenced"]
