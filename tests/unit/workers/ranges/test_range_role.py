"""The roles of a range: each step leads to the role in the table, and impossible steps are refused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from shardstore.identifiers import RequestId
from shardstore.key_range import KeyRange
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.inheritance import Inheritance
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.role import (
    ADOPTED,
    FENCE_WANTED,
    FENCED,
    FINAL,
    ORDINARY,
    TRANSITIONS,
    WAITING,
    Role,
    RoleStep,
    role_after,
)

WHOLE_LIFE = [WAITING, ADOPTED, ORDINARY, FENCE_WANTED, FENCED, FINAL]
SEGMENT: Any = SimpleNamespace()
STEPS: dict[RoleStep, Callable[[OwnedRange], None]] = {
    RoleStep.ADOPT: lambda owned: owned.adopt([DedupWindow()], 0),
    RoleStep.MATERIALISE: lambda owned: owned.materialise(SEGMENT),
    RoleStep.WANT_FENCE: lambda owned: owned.want_fence(),
    RoleStep.FENCE: lambda owned: owned.fence(7),
    RoleStep.FINALISE: lambda owned: owned.finalise(),
}
"""The method of a range for each step."""
IMPOSSIBLE = [pair for pair in product(WHOLE_LIFE, RoleStep) if pair not in TRANSITIONS]


def in_role(role: Role) -> OwnedRange:
    """A range in this role; before it has files, it is a child of a parent without keys."""
    inheritance = Inheritance([], is_remote=False) if role in (WAITING, ADOPTED) else None
    segment = None if inheritance else SEGMENT
    return OwnedRange(1, KeyRange(), 1, segment, DedupWindow(), role=role, inheritance=inheritance)


@pytest.mark.parametrize(("role", "step"), TRANSITIONS)
def test_each_step_leads_where_the_table_says(role: Role, step: RoleStep) -> None:
    owned = in_role(role)
    STEPS[step](owned)
    assert owned.role is TRANSITIONS[role, step] is role_after(role, step)


@pytest.mark.parametrize(("role", "step"), IMPOSSIBLE)
def test_impossible_steps_are_refused_and_change_nothing(role: Role, step: RoleStep) -> None:
    owned = in_role(role)
    before = (owned.segment, owned.inheritance, owned.fence_lsn, owned.dedup)
    with pytest.raises(AssertionError, match=f"no {step} of a range that is {role.label}"):
        STEPS[step](owned)
    assert (owned.role, (owned.segment, owned.inheritance, owned.fence_lsn, owned.dedup)) == (role, before)


def test_a_range_goes_from_child_to_parent_and_never_back() -> None:
    roles = [WAITING]
    for step in RoleStep:
        roles.append(role_after(roles[-1], step))
    assert roles == WHOLE_LIFE


@pytest.mark.fault("H3")
def test_a_range_is_served_from_its_adoption_to_its_fence() -> None:
    assert [role for role in WHOLE_LIFE if role.is_served] == WHOLE_LIFE[1:4]
    assert [role for role in WHOLE_LIFE if role.is_fenced] == WHOLE_LIFE[4:]


@pytest.mark.fault("H5")
def test_an_adopted_child_knows_the_requests_of_all_its_parents_and_its_own() -> None:
    child, windows = in_role(WAITING), [DedupWindow(), DedupWindow()]
    requests = [RequestId(1, 1), RequestId(2, 1), RequestId(3, 1)]
    for window, request in zip([*windows, child.dedup], requests, strict=True):
        window.note(request, 1, 0)
    child.adopt(windows, 0)
    assert all(child.dedup.noted(request) for request in requests)


def test_a_materialised_child_reads_its_files_and_inherits_nothing() -> None:
    child = in_role(ADOPTED)
    child.materialise(SEGMENT)
    assert (child.segment, child.inheritance) == (SEGMENT, None)


def test_a_fenced_parent_knows_where_its_fence_is() -> None:
    parent = in_role(FENCE_WANTED)
    parent.fence(7)
    parent.finalise()
    assert parent.fence_lsn == 7
