"""Decides whether a silent process hangs, from what it did since its last sign of life. No input or output.

A healthy process gives a sign of life once a second. Silence alone proves nothing: a busy machine may give it no
processor time, a slow disk no data, and the observer may have been stopped too. So elapsed time does not count. What
counts is the processor time that the process used (it is in a loop), and the looks at which it was asleep or stopped.
Recovery takes as long as it must: before a process serves, only sleeping and being stopped count.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shardstore.limits import SECOND_NS

LOOK_NS = SECOND_NS
"""Time between two looks. A longer interval counts as this: the observer, or the machine, must have been stopped."""
HANGS_NS = 15 * SECOND_NS
"""A serving process hangs after this time. None of its steps takes so long."""
HANGS_STARTING_NS = 30 * SECOND_NS
"""A starting process hangs after this time, which it may need to wait for its predecessor's locks."""

WORK_NS = LOOK_NS // 20
"""A process that used no more processor time than this between two looks was only waiting."""


class Doing(StrEnum):
    """What a process is doing, according to the operating system, in words for the log."""

    STOPPED = "is stopped, as by SIGSTOP"
    ASLEEP = "waits for something that does not come"
    WORKING = "is busy with one thing and does not end"
    """This includes waiting for a processor or a disk."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a process is doing now, and the processor time that it has used since its start."""

    doing: Doing
    processor_ns: int


class Pulse:
    """Tracks the silence of one process."""

    def __init__(self) -> None:
        self._had_ns = 0
        self._latest: Look | None = None

    def showed_life(self) -> None:
        """End the silence: the process has given a sign of life."""
        self._had_ns, self._latest = 0, None

    def worked(self, look: Look) -> bool:
        """Add a look at a process that does not serve yet; returns whether it has worked since the previous look."""
        latest, self._latest = self._latest, look
        return latest is None or look.doing is Doing.WORKING or look.processor_ns - latest.processor_ns > WORK_NS

    def still_silent(self, look: Look, serves: bool) -> bool:
        """Add a look at the silent process; returns whether it hangs."""
        latest, self._latest = self._latest, look
        if latest is None:
            return False
        if look.doing is not Doing.WORKING:
            self._had_ns += LOOK_NS
        elif serves:
            self._had_ns += min(look.processor_ns - latest.processor_ns, LOOK_NS)
        return self._had_ns >= (HANGS_NS if serves else HANGS_STARTING_NS)
