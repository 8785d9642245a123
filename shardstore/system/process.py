"""What every child process of a cluster does about its own life: start checks, readiness, stop signals, orphanhood.

What it tells its supervisor are lines of JSON over a pipe of their own, each shorter than a pipe takes at once:

    {"endpoint": "ipc://..."}   it serves, at this endpoint; once
    {"workers": [0, 1, 3]}      the router only: workers that are to run from now on; at its start and at each change
    {"words": "replays ..."}    what whoever operates the store may want to know

That it goes on it shows by an eventfd, which is counted up between two events, about once a second.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from shardstore.errors import InvalidRequest

EXIT_ORPHANED = 70
"""The supervisor is gone."""
EXIT_SIGNALLED_TWICE = 71
"""A second stop signal came before the first had been followed."""
DESCRIPTORS_MIN = 256
_PR_SET_PDEATHSIG = 1


def refuse_optimised_python() -> None:
    """Exit under `python -O`: it removes the assertions that stop a process before it does damage."""
    if not __debug__:
        sys.exit("shardstore does not run under python -O: its assertions guard the data")


def heed_signals() -> None:
    """Undo what a child inherits of its parent's ways with signals. To be called before any thread is started.

    A thread that blocks SIGTERM, as many servers have them, would else start processes that never hear it; and who
    ignores SIGCHLD cannot tell how a child ended.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def raise_descriptor_limit() -> None:
    """Take as many file descriptors as are allowed. Raises InvalidRequest when that is too few to start with."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS_MIN:
        raise InvalidRequest(f"{hard} file descriptors are allowed, {DESCRIPTORS_MIN} are needed; raise `ulimit -n`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def descriptors_for_peers() -> int:
    """The highest descriptor that a connection may get: the others are for the log, for tables and for sockets."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2


def end_with_parent(descriptor: int = 0) -> None:
    """Let this process die with the one that started it. To be called from the main thread.

    The parent holds the other end of `descriptor` and writes nothing: end of file means that it is gone. The
    kernel's parent-death signal is the second line, for a parent whose pipe some other process inherited.
    """
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it went away before the signal was set
        os._exit(EXIT_ORPHANED)
    threading.Thread(target=_exit_at_end_of_file, args=(descriptor,), name="end-with-parent", daemon=True).start()


def install_stop_signals(stop: Callable[[], None]) -> None:
    """Call `stop`, from a thread of its own, at the first SIGTERM or SIGINT; a second one ends the process at once.

    The kernel may hand a signal to any thread, and Python runs handlers in the main one only, which may be waiting
    in a library that the signal did not interrupt. So the signal's number is taken from a pipe instead.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave_to_pipe)
    threading.Thread(target=_follow_signals, args=(reader, stop), name="stop-signals", daemon=True).start()


def report_ready(descriptor: int, endpoint: str) -> None:
    """Tell the parent where this process listens, and nothing after that; -1: nobody wants to know."""
    if descriptor >= 0:
        report_endpoint(descriptor, endpoint)
        os.close(descriptor)


def report_endpoint(descriptor: int, endpoint: str) -> None:
    """Tell the parent where this process listens; -1: nobody wants to know."""
    _report(descriptor, {"endpoint": endpoint})


def show_life(descriptor: int) -> None:
    """Tell the parent that this process goes on; -1: nobody wants to know. It never waits for the parent to listen."""
    if descriptor >= 0:
        os.eventfd_write(descriptor, 1)


def report_workers(descriptor: int, workers: Sequence[int]) -> None:
    """Tell the parent which workers are to run; -1: nobody wants to know."""
    _report(descriptor, {"workers": list(workers)})


def report_words(descriptor: int, words: str) -> None:
    """Tell the parent something for its log; -1: nobody wants to know."""
    _report(descriptor, {"words": words})


def _report(descriptor: int, words: dict[str, Any]) -> None:
    if descriptor >= 0:
        os.write(descriptor, json.dumps(words).encode() + b"\n")


def _exit_at_end_of_file(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    os._exit(EXIT_ORPHANED)


def _leave_to_pipe(number: int, frame: FrameType | None) -> None:
    """Do nothing: that a handler is there makes the number go to the pipe."""


def _follow_signals(reader: int, stop: Callable[[], None]) -> None:
    os.read(reader, 1)
    stop()
    os.read(reader, 1)
    os._exit(EXIT_SIGNALLED_TWICE)
