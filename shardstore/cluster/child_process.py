"""One run of a child process, from spawn to exit.

The child's standard input is a pipe whose write end only this process holds: end of file tells the child that its
supervisor is gone, for whatever reason. The child reports in lines of JSON over another pipe (system/process.py).
Everything that it prints goes to the log; the last line is kept as its last words.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import TypeAlias

from shardstore.cluster.fork_guard import give_up_in_forks
from shardstore.pulse import Look
from shardstore.system.watched_process import has_shown_life, look_at, new_life

STATUS_BYTES_MAX = 4096
LAST_WORDS_WAIT_SECONDS = 0.5
log = logging.getLogger("shardstore.cluster")


@dataclass(frozen=True, slots=True)
class BecameReady:
    """The process serves at this endpoint and, if it is the router and there are keys, over tcp at `remote`."""

    process: ChildProcess
    endpoint: str
    remote: str = ""


@dataclass(frozen=True, slots=True)
class WorkersWanted:
    """The router reports which workers must run."""

    process: ChildProcess
    workers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Exited:
    """The process has ended. `code` is as in subprocess: negative for a signal."""

    process: ChildProcess
    code: int


Happening: TypeAlias = BecameReady | WorkersWanted | Exited


class ChildProcess:
    """A running child process. `post` is called, from other threads, with everything that happens to it."""

    def __init__(
        self,
        name: str,
        command: Callable[[int, int], Sequence[str]],
        environment: Mapping[str, str],
        post: Callable[[Happening], None],
    ) -> None:
        """Spawn the process. `command` takes two descriptors: for reports, and for signs of life. Raises OSError."""
        self.name = name
        self._post = post
        self._last_words = ""
        status_read, status_write = os.pipe()
        self._life = new_life()
        try:
            self._process = subprocess.Popen(  # noqa: S603 (the command is our own)
                command(status_write, self._life),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                pass_fds=(status_write, self._life),
                env=environment,
                start_new_session=True,  # so that only the supervisor gets Ctrl-C
            )
        except BaseException:
            os.close(status_read)
            os.close(self._life)
            raise
        finally:
            os.close(status_write)
        assert self._process.stdin is not None
        self._lifeline = self._process.stdin
        give_up_in_forks(self, self._lifeline.close)
        listener = Thread(target=self._listen, name=f"{name} words", daemon=True)
        listener.start()
        Thread(target=self._watch, args=(status_read, listener), name=f"{name} watch", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def last_words(self) -> str:
        """Return the last line that the process printed; empty if it printed none."""
        return self._last_words

    def shows_life(self) -> bool:
        """Whether the process has given a sign of life since the last call."""
        return has_shown_life(self._life)

    def look(self) -> Look:
        """Return what the process is doing now. Raises psutil.Error if it is gone."""
        return look_at(self.pid)

    def bury(self) -> None:
        """Free the resources kept for a process that has exited."""
        os.close(self._life)

    def terminate(self) -> None:
        """Ask the process to end in order."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process at once."""
        self._process.send_signal(signal.SIGKILL)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                words = line.decode(errors="replace").rstrip()
                self._last_words = words or self._last_words
                log.warning("%s: %s", self.name, words)

    def _watch(self, status_read: int, listener: Thread) -> None:
        with open(status_read, "rb") as status:
            while line := status.readline(STATUS_BYTES_MAX):
                self._take_report(line)
        code = self._process.wait()
        self._lifeline.close()
        # The output may stay open longer than the process runs, as its maintenance process shares it for a moment.
        listener.join(LAST_WORDS_WAIT_SECONDS)
        self._post(Exited(self, code))
        self._bury_the_rest()

    def _bury_the_rest(self) -> None:
        """Collect the exit codes of the child's children, if this process has inherited them, as in a container.

        They are in the process group that the child leads.
        """
        with suppress(ChildProcessError):  # none are left
            while True:
                os.waitpid(-self.pid, 0)

    def _take_report(self, line: bytes) -> None:
        """Post what the process reports. A line of unknown content is logged."""
        try:
            report = json.loads(line)
        except ValueError:
            report = None
        match report:
            case {"endpoint": str(endpoint), "remote": str(remote)}:
                self._post(BecameReady(self, endpoint, remote))
            case {"endpoint": str(endpoint)}:
                self._post(BecameReady(self, endpoint))
            case {"workers": [_, *_] as workers} if all(type(worker) is int for worker in workers):
                self._post(WorkersWanted(self, tuple(workers)))
            case {"words": str(words)}:
                log.info("%s %s", self.name, words)
            case _:
                log.error("%s sent an unknown report: %r", self.name, line)
