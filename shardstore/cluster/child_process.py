"""One run of a child process, from spawn to exit.

The child's standard input is a pipe whose write end only this process holds: its end of file tells the child that
its supervisor is gone, however that came about. What the child reports are lines of JSON over a pipe of their own
(shardstore/system/process.py); what it prints goes to the log and is remembered as its last words.
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
    """The process serves, at this endpoint."""

    process: ChildProcess
    endpoint: str


@dataclass(frozen=True, slots=True)
class WorkersWanted:
    """The router says which workers are to run."""

    process: ChildProcess
    workers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Exited:
    """The process is gone; `code` as subprocess reports it, negative for a signal."""

    process: ChildProcess
    code: int


Happening: TypeAlias = BecameReady | WorkersWanted | Exited


class ChildProcess:
    """A running child. `post` is called from other threads with what happens to it."""

    def __init__(
        self,
        name: str,
        command: Callable[[int, int], Sequence[str]],
        environment: Mapping[str, str],
        post: Callable[[Happening], None],
    ) -> None:
        """Spawn the process; `command` takes the numbers of the descriptors to report on and to show life with."""
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
                start_new_session=True,  # Ctrl-C is for the supervisor alone
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
        """Process id."""
        return self._process.pid

    def last_words(self) -> str:
        """The last line the process printed; empty when it printed none."""
        return self._last_words

    def shows_life(self) -> bool:
        """Whether it has shown life since this was asked last."""
        return has_shown_life(self._life)

    def look(self) -> Look:
        """What it does now. Raises psutil.Error when it is gone."""
        return look_at(self.pid)

    def bury(self) -> None:
        """It has exited: let go of what was kept of it."""
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
        # The words may stay open longer than the process: its maintenance process shares them for a moment.
        listener.join(LAST_WORDS_WAIT_SECONDS)
        self._post(Exited(self, code))
        self._bury_the_rest()

    def _bury_the_rest(self) -> None:
        """Take the exit codes of the child's children, if they are ours now: nobody else would, in a container.

        They are known by their process group, which the child leads.
        """
        with suppress(ChildProcessError):  # there are none, or no more
            while True:
                os.waitpid(-self.pid, 0)

    def _take_report(self, line: bytes) -> None:
        """Pass on what the process reports; a line that says nothing known is for the log."""
        try:
            report = json.loads(line)
        except ValueError:
            report = None
        match report:
            case {"endpoint": str(endpoint)}:
                self._post(BecameReady(self, endpoint))
            case {"workers": [_, *_] as workers} if all(type(worker) is int for worker in workers):
                self._post(WorkersWanted(self, tuple(workers)))
            case {"words": str(words)}:
                log.info("%s %s", self.name, words)
            case _:
                log.error("%s reports what nobody understands: %r", self.name, line)
