"""Resolves a change that cannot go on: what takes its place, and what that loses. Pure.

    complete    the same change, without the parents that keep it from going on. They are given up: only what their
                readable files hold is taken
    cancel      for each parent a move of its own, to a new segment of its owner. The children are discarded, with all
                that they accepted since the change began

Both make new segments or keep those of the change, so no parent becomes an owner again, whenever it comes back. See
shardstore/wire/topology.py for how it is carried out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from shardstore.errors import InvalidRequest
from shardstore.router.policies.together import check_splits
from shardstore.router.route_table import Topology
from shardstore.wire.admin_messages import Loss
from shardstore.wire.topology import Change, ChangeKind, Progress, Relative, Resolution

NOT_IN_FILES = "what it accepted and its files do not hold, or what cannot be read of them"
UNREADABLE_TABLES = "its tables that cannot be read; older values of their keys may show again, deleted ones too"
SINCE_THE_CHANGE = "all that is written to it from the beginning of the change until it is cancelled"


def resolved(topology: Topology, change: Change, how: Resolution, stuck: Collection[int]) -> list[Change]:
    """The changes that take the place of this one. `stuck`: the parents that keep it from going on.

    Raises InvalidRequest if it cannot be resolved in this way.
    """
    if how is Resolution.COMPLETE:
        given_up = tuple(parent.segment for parent in change.parents if parent.segment in {*change.given_up, *stuck})
        return [replace(change, resolution=str(how), given_up=given_up)]
    if change.given_up:
        raise InvalidRequest(f"change {change.number} was completed without a parent: it cannot be cancelled any more")
    check_splits(topology.together, [parent.start for parent in change.parents[1:]])
    return [_instead(topology, change, at, parent) for at, parent in enumerate(change.parents)]


def _instead(topology: Topology, change: Change, at: int, parent: Relative) -> Change:
    """The change that gives a parent a child of its own. `at`: its place among the parents."""
    child = Relative(topology.segment_next + at, parent.start, parent.end, parent.worker)
    return Change(
        topology.change_next + at,
        str(ChangeKind.MOVE),
        (parent,),
        (child,),
        str(Resolution.CANCEL),
        change.number,
        discarded=(*change.discarded, *change.children),
    )


def losses(
    change: Change, following: Sequence[Change], reports: Sequence[Progress], may_hold_writes: bool
) -> list[Loss]:
    """What may be lost if these changes take the place of this one; nothing else is.

    `reports`: the latest ones of its workers. `may_hold_writes`: whether its children may have accepted writes.
    """
    if following[0].number != change.number:
        return [_loss(child, SINCE_THE_CHANGE, reports) for child in change.children] if may_hold_writes else []
    drained = {segment for report in reports for segment in report.drained}
    return [
        _loss(parent, UNREADABLE_TABLES if parent.segment in drained else NOT_IN_FILES, reports)
        for parent in following[0].parents
        if parent.segment in following[0].given_up
    ]


def _loss(relative: Relative, what: str, reports: Sequence[Progress]) -> Loss:
    known = [report for report in reports if relative.segment in report.entries]
    words = next((report.trouble[relative.segment] for report in reports if relative.segment in report.trouble), "")
    return Loss(
        relative.segment,
        relative.start,
        relative.end,
        f"{what} ({words})" if words else what,
        bool(known),
        max([report.entries[relative.segment] for report in known], default=0),
        max([report.bytes[relative.segment] for report in known], default=0),
    )
