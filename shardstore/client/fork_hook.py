"""Renews clients in the child of a fork, or makes them refuse to be used (`fork="refuse"`).

Two processes cannot share a client: if both read one socket, each takes replies of the other. So right after the fork,
before anything else runs in the child, each client there drops its links; its next call opens new ones. The clients of
the parent are not affected.
"""

from __future__ import annotations

import os
import weakref
from typing import Any, Protocol

from shardstore.errors import InvalidRequest

REOPEN, REFUSE = "reopen", "refuse"
"""What a client does in the child of a fork."""


class Carried(Protocol):
    """A pump that drives a client."""

    def carry_over_fork(self) -> None:
        """Renew the client, or make it refuse. Called in the child, which has no other thread."""


class Carrier:
    """Stands for a pump that has no weak references, as a class of a compiled module. The pump must keep it."""

    def __init__(self, pump: Carried) -> None:
        self._pump = pump

    def carry_over_fork(self) -> None:
        """Renew the client, or make it refuse."""
        self._pump.carry_over_fork()


def checked_fork(fork: Any) -> bool:
    """Whether a client connects anew after a fork. Raises InvalidRequest."""
    if fork not in (REOPEN, REFUSE):
        raise InvalidRequest(f"fork is {REOPEN!r} or {REFUSE!r}, not {fork!r:.60}")
    return bool(fork == REOPEN)


def refusal() -> str:
    """Why a client refuses to be used in this process."""
    return f"the client belongs to process {os.getppid()} and was carried over a fork; open a new one"


_open: weakref.WeakSet[Carried] = weakref.WeakSet()


def watch(client: Carried) -> None:
    """Renew this client after each fork, as long as it exists."""
    _open.add(client)


def _in_the_child() -> None:
    for client in list(_open):
        client.carry_over_fork()


os.register_at_fork(after_in_child=_in_the_child)
