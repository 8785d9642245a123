"""What every child process of a cluster does: start checks, reports, handling of stop signals, and end with the parent.

It reports to its supervisor over a pipe, in lines of JSON that are short enough to be written atomically:

    {"endpoint": "unix://..."}   it serves at this endpoint; sent once. Router only: with "remote": "tcp://...", if it
                                listens there too, for clients with keys
    {"workers": [0, 1, 3]}      router only: workers that must run from now on; sent at its start and at each change
    {"words": "replays ..."}    a message for the operator of the store

As a sign of life it increments an eventfd between two events, about once a second.
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
"""Exit code: the supervisor is gone."""
EXIT_SIGNALLED_TWICE = 71
"""Exit code: a second stop signal arrived before the process had stopped."""
DESCRIPTORS_MIN = 256
_PR_SET_PDEATHSIG = 1


def refuse_optimised_python() -> None:
    """Exit under `python -O`, which removes the assertions that stop a process before it does damage."""
    if not __debug__:
        sys.exit("shardstore does not run under python -O: its assertions guard the data")


def heed_signals() -> None:
    """Reset the signal settings inherited from the parent. Must be called before any thread is started.

    Many servers have threads that block SIGTERM; a process started from such a thread would never receive it. A process
    that ignores SIGCHLD cannot learn how its child ended.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def raise_descriptor_limit() -> None:
    """Raise the limit of file descriptors to the allowed maximum. Raises InvalidRequest if that is too low to start."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS_MIN:
        raise InvalidRequest(f"{hard} file descriptors are allowed, {DESCRIPTORS_MIN} are needed; raise `ulimit -n`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def descriptors_for_peers() -> int:
    """Return the highest descriptor that a connection may use. The others are for the log, tables and sockets."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2


def end_with_parent(descriptor: int = 0) -> None:
    """Make this process end when its parent does. Must be called from the main thread.

    The parent holds the other end of `descriptor` and writes nothing, so end of file means that it is gone. The
    kernel's parent-death signal covers the case that another process inherited the parent's end of the pipe.
    """
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # the parent ended before the signal was set
        os._exit(EXIT_ORPHANED)
    threading.Thread(target=_exit_at_end_of_file, args=(descriptor,), name="end-with-parent", daemon=True).start()


def install_stop_signals(stop: Callable[[], None]) -> None:
    """Call `stop` in a separate thread at the first SIGTERM or SIGINT; a second one ends the process at once.

    The kernel may deliver a signal to any thread, but Python runs handlers only in the main thread, which may wait in a
    library that the signal did not interrupt. So a thread reads the signal's number from a pipe instead.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave_to_pipe)
    threading.Thread(target=_follow_signals, args=(reader, stop), name="stop-signals", daemon=True).start()


def report_ready(descriptor: int, endpoint: str) -> None:
    """Report to the parent where this process listens, then close the descriptor. Does nothing if it is -1."""
    if descriptor >= 0:
        report_endpoint(descriptor, endpoint)
        os.close(descriptor)


def report_endpoint(descriptor: int, endpoint: str, remote: str = "") -> None:
    """Report to the parent where this process listens. Does nothing if the descriptor is -1."""
    _report(descriptor, {"endpoint": endpoint, "remote": remote} if remote else {"endpoint": endpoint})


def show_life(descriptor: int) -> None:
    """Give the parent a sign of life, without ever waiting for it. Does nothing if the descriptor is -1."""
    if descriptor >= 0:
        os.eventfd_write(descriptor, 1)


def report_workers(descriptor: int, workers: Sequence[int]) -> None:
    """Report to the parent which workers must run. Does nothing if the descriptor is -1."""
    _report(descriptor, {"workers": list(workers)})


def report_words(descriptor: int, words: str) -> None:
    """Send the parent a message for its log. Does nothing if the descriptor is -1."""
    _report(descriptor, {"words": words})


def _report(descriptor: int, words: dict[str, Any]) -> None:
    if descriptor >= 0:
        os.write(descriptor, json.dumps(words).encode() + b"\n")


def _exit_at_end_of_file(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    os._exit(EXIT_ORPHANED)


def _leave_to_pipe(number: int, frame: FrameType | None) -> None:
    """Do nothing. Python writes the signal's number to the pipe only if there is a handler."""


def _follow_signals(reader: int, stop: Callable[[], None]) -> None:
    os.read(reader, 1)
    stop()
    os.read(reader, 1)
    os._exit(EXIT_SIGNALLED_TWICE)
