"""Clients that are carried over a fork: in the child each begins anew, or refuses to be used (`fork="refuse"`).

What a client holds cannot be shared: two processes that read one socket take each other's answers. So right behind the
fork, before anything else runs in the child, each client there lets go of its links; the next call opens new ones. The
parent's client does not notice.
"""

from __future__ import annotations

import os
import weakref
from typing import Any, Protocol

from shardstore.errors import InvalidRequest

REOPEN, REFUSE = "reopen", "refuse"
"""What becomes of a client in the child of a fork."""


class Carried(Protocol):
    """What drives a client."""

    def carry_over_fork(self) -> None:
        """This is the child, and has no thread but this one."""


def checked_fork(fork: Any) -> bool:
    """Whether a client is opened anew behind a fork. Raises InvalidRequest."""
    if fork not in (REOPEN, REFUSE):
        raise InvalidRequest(f"fork is {REOPEN!r} or {REFUSE!r}, not {fork!r:.60}")
    return bool(fork == REOPEN)


def refusal() -> str:
    """What a client says that refuses."""
    return f"the client belongs to process {os.getppid()} and was carried over a fork; open a new one"


_open: weakref.WeakSet[Carried] = weakref.WeakSet()


def watch(client: Carried) -> None:
    """Tell this one of every fork, as long as it lives."""
    _open.add(client)


def _in_the_child() -> None:
    for client in list(_open):
        client.carry_over_fork()


os.register_at_fork(after_in_child=_in_the_child)
