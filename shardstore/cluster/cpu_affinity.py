"""Pins each worker to a core, if enough cores remain for the router and the clients."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import psutil

CORES_LEFT = 2
"""Cores that remain for the router and at least one client."""


def cores_of(worker: int, workers: int, cores: Sequence[int]) -> Sequence[int]:
    """Return the core of one of `workers` workers, from the end of `cores`; all cores if they are too few."""
    return [cores[len(cores) - workers + worker]] if len(cores) >= workers + CORES_LEFT else cores


def pin(pid: int, cores: Sequence[int]) -> None:
    """Keep the main thread of a process on these cores, if the system supports it.

    Threads that it has already started are not pinned, nor is anything that they start. A worker that is ready has
    started its threads for input, syncs and its maintenance process.
    """
    with suppress(psutil.Error, AttributeError):
        psutil.Process(pid).cpu_affinity(list(cores))
