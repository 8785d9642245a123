"""What a parent observes of a child process: signs of life, what it is doing, and how it ended."""

from __future__ import annotations

import os
import signal

import psutil

from shardstore.limits import SECOND_NS
from shardstore.pulse import Doing, Look

_DOING = {psutil.STATUS_STOPPED: Doing.STOPPED, psutil.STATUS_SLEEPING: Doing.ASLEEP, psutil.STATUS_IDLE: Doing.ASLEEP}
"""A process in any other state counts as working: it is in a debugger, or waits for a disk or a processor."""


def new_life() -> int:
    """Return a descriptor for `process.show_life` in a child and `has_shown_life` in its parent."""
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


def has_shown_life(descriptor: int) -> bool:
    """Whether the process has given a sign of life since the last call."""
    try:
        return os.eventfd_read(descriptor) > 0
    except BlockingIOError:
        return False


def look_at(pid: int) -> Look:
    """Return what a process is doing now. Raises psutil.Error if it is gone."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    doing = _DOING.get(process.status(), Doing.WORKING)
    return Look(doing, int((times.user + times.system) * SECOND_NS))


def describe_exit(code: int) -> str:
    """Describe an exit code in words."""
    return f"was ended by signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"exited with code {code}"
