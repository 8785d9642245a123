"""Collects the exit codes of orphaned processes, if this is the first process of a container.

An orphan stays a zombie until the first process does so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

SECONDS_BETWEEN = 1.0


@contextmanager
def orphans_buried(ours: Callable[[], Collection[int]]) -> Iterator[None]:
    """Collect orphans inside the `with` block, if this is process 1. `ours` returns the children to leave alone."""
    ended = Event()
    if os.getpid() == 1:
        Thread(target=_bury_until, args=(ended, ours), name="orphans", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def bury_orphans(ours: Callable[[], Collection[int]]) -> None:
    """Collect all ended orphans, up to the first of `ours`, for which other code waits."""
    with suppress(ChildProcessError):  # there are no children, or other code has collected this one
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if ended.si_pid in ours():
                return
            os.waitpid(ended.si_pid, os.WNOHANG)


def _bury_until(ended: Event, ours: Callable[[], Collection[int]]) -> None:
    while not ended.wait(SECONDS_BETWEEN):
        bury_orphans(ours)
