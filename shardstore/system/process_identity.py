"""Which process is meant: a process id alone is given again to others, in a container at every start."""

from __future__ import annotations

import os
from dataclasses import dataclass

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_ENDED = (b"Z", b"X")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process of this host.

    `started` is when, in ticks since the boot that `boot` names; `namespace` is where its process id counts.
    """

    pid: int
    started: int
    boot: str
    namespace: int

    @property
    def is_visible(self) -> bool:
        """Whether it can be seen from here whether it runs."""
        return self.boot == _boot() and self.namespace == _namespace()

    @property
    def has_ended(self) -> bool:
        """Whether it surely runs no more. That cannot be seen from another namespace of process ids: then False."""
        return self.boot != _boot() or (self.is_visible and _start_of(self.pid) != self.started)


def own_identity() -> ProcessIdentity:
    """The process that asks."""
    return ProcessIdentity(os.getpid(), _start_of(os.getpid()), _boot(), _namespace())


def _start_of(pid: int) -> int:
    """When a process started, 0 when it does not run."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, *fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if state in _ENDED else int(fields[18])


def _boot() -> str:
    with open(_BOOT_ID) as file:
        return file.read().strip()


def _namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino
