"""The roles of a range in topology changes, and the steps between them. See shardstore/wire/topology.py.

    opened without files --> WAITING --ADOPT--> ADOPTED --MATERIALISE--> ORDINARY <-- opened with files
                                                                             |
                                                                        WANT_FENCE
                                                                             v
                     retired <-- FINAL <--FINALISE-- FENCED <--FENCE-- FENCE_WANTED

A range begins as an ordinary one or as the child of a change, and ends as the parent of another change. No step leads
back, since a change makes new ranges of old ones. A role is not durable: after a restart a child with files is
ordinary, a child without files waits again, and a parent is fenced again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, eq=False)
class Role:
    """What a range is now. There is one object for each role, see below; compare roles with `is`.

    `is_served`: clients may read and write the range. `is_fenced`: it accepts no more writes.
    """

    label: str
    is_served: bool
    is_fenced: bool


WAITING = Role("a child that waits", is_served=False, is_fenced=False)
"""A child that accepts no writes yet, since its parents may still accept some."""
ADOPTED = Role("an adopted child", is_served=True, is_fenced=False)
"""A child that accepts writes but has no files: data that it lacks it reads from its parents."""
ORDINARY = Role("ordinary", is_served=True, is_fenced=False)
"""It accepts writes and reads its own files."""
FENCE_WANTED = Role("about to be fenced", is_served=True, is_fenced=False)
"""A parent that waits for its fence, because a scan isolates it or a sync comes first. No other scan may isolate it."""
FENCED = Role("a fenced parent", is_served=False, is_fenced=True)
"""A parent that accepts no more writes; some that it accepted may not be durable and applied yet."""
FINAL = Role("a final parent", is_served=False, is_fenced=True)
"""A parent whose content is final. Ordinary drains write it into files."""


class RoleStep(StrEnum):
    """What takes a range from one role to the next."""

    ADOPT = "ADOPT"
    """No parent accepts writes any more, and the child knows which requests the parents have applied."""
    MATERIALISE = "MATERIALISE"
    """The child has files of its own."""
    WANT_FENCE = "WANT_FENCE"
    """The router has ordered a change of the range."""
    FENCE = "FENCE"
    """The range accepts no more writes."""
    FINALISE = "FINALISE"
    """All writes that it accepted are durable and applied."""


TRANSITIONS: dict[tuple[Role, RoleStep], Role] = {
    (WAITING, RoleStep.ADOPT): ADOPTED,
    (ADOPTED, RoleStep.MATERIALISE): ORDINARY,
    (ORDINARY, RoleStep.WANT_FENCE): FENCE_WANTED,
    (FENCE_WANTED, RoleStep.FENCE): FENCED,
    (FENCED, RoleStep.FINALISE): FINAL,
}
"""The role after each step. Steps that are missing here are impossible."""


def role_after(role: Role, step: RoleStep) -> Role:
    """The role after a step. Raises AssertionError if the step is impossible in this role."""
    following = TRANSITIONS.get((role, step))
    if following is None:
        raise AssertionError(f"no {step} of a range that is {role.label}")
    return following
