"""What the first process of a container does for those whose parents are gone: it takes their exit codes.

Nobody else would, and each stays a zombie until somebody does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

SECONDS_BETWEEN = 1.0


@contextmanager
def orphans_buried(ours: Callable[[], Collection[int]]) -> Iterator[None]:
    """Bury orphans meanwhile, if this is the first process. `ours` tells the children that others wait for."""
    ended = Event()
    if os.getpid() == 1:
        Thread(target=_bury_until, args=(ended, ours), name="orphans", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def bury_orphans(ours: Callable[[], Collection[int]]) -> None:
    """Bury all that have ended; it stops at one of `ours`, which is about to be taken by who waits for it."""
    with suppress(ChildProcessError):  # there are none, or another took it
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if ended.si_pid in ours():
                return
            os.waitpid(ended.si_pid, os.WNOHANG)


def _bury_until(ended: Event, ours: Callable[[], Collection[int]]) -> None:
    while not ended.wait(SECONDS_BETWEEN):
        bury_orphans(ours)
