"""Identifies a process. A process id alone does not: it is reused, in a container at every start."""

from __future__ import annotations

import os
from dataclasses import dataclass

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_ENDED = (b"Z", b"X")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process of this host.

    `started` is its start time in clock ticks since the boot with id `boot`. `namespace` is that of its process id.
    """

    pid: int
    started: int
    boot: str
    namespace: int

    @property
    def is_visible(self) -> bool:
        """Whether this process can see if that one runs: it must have the same boot and namespace."""
        return self.boot == _boot() and self.namespace == _namespace()

    @property
    def is_on_this_host(self) -> bool:
        """Whether the host of this process runs or ran it, since it was booted."""
        return self.boot == _boot()

    @property
    def has_ended(self) -> bool:
        """Whether it has certainly ended. False if it is in another namespace of process ids, where this is unknown."""
        return self.boot != _boot() or (self.is_visible and _start_of(self.pid) != self.started)


def own_identity() -> ProcessIdentity:
    """Return the identity of this process."""
    return ProcessIdentity(os.getpid(), _start_of(os.getpid()), _boot(), _namespace())


def _start_of(pid: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 if it does not run."""
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
