"""What is to be seen of a process from outside, by the one that started it."""

from __future__ import annotations

import os
import signal

import psutil

from shardstore.limits import SECOND_NS
from shardstore.pulse import Doing, Look

_DOING = {psutil.STATUS_STOPPED: Doing.STOPPED, psutil.STATUS_SLEEPING: Doing.ASLEEP, psutil.STATUS_IDLE: Doing.ASLEEP}
"""Who is stopped by a debugger, waits for a disk or for a processor works."""


def new_life() -> int:
    """A descriptor for `process.show_life` in a child, and for `has_shown_life` here."""
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


def has_shown_life(descriptor: int) -> bool:
    """Whether the process has shown life since this was asked last."""
    try:
        return os.eventfd_read(descriptor) > 0
    except BlockingIOError:
        return False


def look_at(pid: int) -> Look:
    """What a process does now. Raises psutil.Error when it is gone."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    doing = _DOING.get(process.status(), Doing.WORKING)
    return Look(doing, int((times.user + times.system) * SECOND_NS))


def describe_exit(code: int) -> str:
    """An exit code in words."""
    return f"was ended by signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"exited with code {code}"
