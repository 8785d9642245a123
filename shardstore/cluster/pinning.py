"""A core for each worker, where enough are left for the router and the clients."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import psutil

CORES_LEFT = 2
"""For the router and at least one client."""


def cores_of(worker: int, workers: int, cores: Sequence[int]) -> Sequence[int]:
    """The core of one of `workers` workers, from the end of the list; all cores when there are too few to pin to."""
    return [cores[len(cores) - workers + worker]] if len(cores) >= workers + CORES_LEFT else cores


def pin(pid: int, cores: Sequence[int]) -> None:
    """Keep the main thread of a process on these cores, if the system can.

    Threads that it has started by then stay free, and so does what they start: a worker that is ready has its
    threads for input, syncing and its maintenance process.
    """
    with suppress(psutil.Error, AttributeError):
        psutil.Process(pid).cpu_affinity(list(cores))
