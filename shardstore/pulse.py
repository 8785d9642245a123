"""Whether a process that shows no life hangs: a pure choice from what it did meanwhile.

A healthy process shows life once a second. Silence alone proves nothing: a busy machine gives it no processor, a slow
disk no data, and whoever looks may have been stopped too. So what counts is not the time that passed but the time
the process had: on a processor (then it is in a loop), or asleep or stopped when it was looked at. A process that
recovers works for as long as it must: before it serves, only sleep counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shardstore.limits import SECOND_NS

LOOK_NS = SECOND_NS
"""Between two looks. A longer time between them counts as this: then whoever looks was stopped, or the machine was."""
HANGS_NS = 15 * SECOND_NS
"""No single step of a process that serves takes so long."""
HANGS_STARTING_NS = 30 * SECOND_NS
"""It may wait for locks of its predecessor so long."""

WORK_NS = LOOK_NS // 20
"""Less of a processor is what waiting costs."""


class Doing(StrEnum):
    """What a process does, as the system tells, in the words of a report."""

    STOPPED = "is stopped, as by SIGSTOP"
    ASLEEP = "waits for something that does not come"
    WORKING = "is busy with one thing and does not end"
    """Also: waits for a processor or for a disk."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a process does now, and how much of a processor it has had since its start."""

    doing: Doing
    processor_ns: int


class Pulse:
    """The silence of one process."""

    def __init__(self) -> None:
        self._had_ns = 0
        self._latest: Look | None = None

    def showed_life(self) -> None:
        """The silence is over."""
        self._had_ns, self._latest = 0, None

    def worked(self, look: Look) -> bool:
        """Take a look at a process that does not serve yet; answers whether it has got on since the one before."""
        latest, self._latest = self._latest, look
        return latest is None or look.doing is Doing.WORKING or look.processor_ns - latest.processor_ns > WORK_NS

    def still_silent(self, look: Look, serves: bool) -> bool:
        """Take a look at the silent process; answers whether it hangs."""
        latest, self._latest = self._latest, look
        if latest is None:
            return False
        if look.doing is not Doing.WORKING:
            self._had_ns += LOOK_NS
        elif serves:
            self._had_ns += min(look.processor_ns - latest.processor_ns, LOOK_NS)
        return self._had_ns >= (HANGS_NS if serves else HANGS_STARTING_NS)
