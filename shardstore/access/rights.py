"""Which operations each role may ask for. Whoever checks a request needs only the operation in its header."""

from __future__ import annotations

from shardstore.client_role import ClientRole
from shardstore.wire.wire_format import WRITES, Op

READS: frozenset[int] = frozenset(
    (Op.GET, Op.TTL, Op.SCAN, Op.END_SCAN, Op.COUNT, Op.STATS, Op.HELLO, Op.ROUTES),
)
_OF_WRITERS = WRITES | {Op.OUTCOME, Op.FLUSH}
"""An OUTCOME may make it final that a write is not applied."""
_ALLOWED: dict[int, frozenset[int]] = {ClientRole.READ: READS, ClientRole.WRITE: READS | _OF_WRITERS}


def allows(role: int, op: int) -> bool:
    """Whether a client of this role may ask for the operation. Operations that are not listed here are for admins."""
    return role == ClientRole.ADMIN or op in _ALLOWED[role]


def denial(role: int, op: int) -> str:
    """Why a request of this role for this operation is refused, and what to do."""
    needed = next(each for each in ClientRole if allows(each, op))
    asked = "work on ranges and workers" if op == Op.ADMIN else Op(op).name.replace("_", " ").lower()
    return (
        f"the key of this client has the role {ClientRole(role).word}, and {asked} needs {needed.word}: "
        f"use a key that has it (shardstore keys new NAME --role {needed.word})"
    )
