"""One member of the cluster (the router or a worker): its current process, and when the next one is started."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import psutil

from shardstore.cluster.child_process import ChildProcess, Happening
from shardstore.cluster.restart_policy import RestartPolicy
from shardstore.limits import SECOND_NS
from shardstore.options import RouterOptions, WorkerOptions, to_argument
from shardstore.pulse import Pulse
from shardstore.system.own_program import command_of, environment
from shardstore.system.watched_process import describe_exit

_SAYS_WHY = (-signal.SIGABRT,)
"""Signals after which the last words explain the end. Other signals come from outside the process."""

log = logging.getLogger("shardstore.cluster")


class Child:
    """A member of the cluster. It has at most one process at a time, with delays between them."""

    def __init__(
        self, name: str, module: str, options: RouterOptions | WorkerOptions, post: Callable[[Happening], None]
    ) -> None:
        self.name = name
        self.options = options
        self.process: ChildProcess | None = None
        self.endpoint = ""
        """Where the process serves; empty until it does."""
        self.remote = ""
        """Where it serves clients with keys over tcp; empty if it does not."""
        self.due_ns: int | None = None
        """When `follow_up` must start the next process, or kill one that does not end; None for never."""
        self.dismissed = False
        """Whether the member must not run any more. The end of its process is then no failure."""
        self.last_end = ""
        """How the last process ended, in words."""
        self.delay_ns = 0
        """Time between the latest end of a process and the start of the next."""
        self._module = module
        self._post = post
        self._policy = RestartPolicy()
        self._pulse = Pulse()
        self._started_ns = 0
        self._asked_to_end = False

    def start(self, now_ns: int) -> None:
        """Start a process. If the system refuses, this counts as a process that died at once."""
        assert self.process is None
        self._started_ns = now_ns
        self._asked_to_end = False
        try:
            self.process = ChildProcess(self.name, self._command, environment(), self._post)
            self.due_ns = None
            self._pulse = Pulse()
        except OSError as error:
            self._ended(f"{self.name} could not be started: {error.strerror}", now_ns)

    def became_ready(self, endpoint: str, remote: str, now_ns: int) -> None:
        """Record that the process serves at this endpoint and, for clients with keys, at `remote` if not empty."""
        self.endpoint = endpoint
        self.remote = remote
        self._pulse = Pulse()
        log.info("%s serves, %.1f s after its start", self.name, (now_ns - self._started_ns) / SECOND_NS)

    def exited(self, code: int, now_ns: int) -> None:
        """Record that the process has ended, and choose when to start the next."""
        assert self.process is not None
        self.process.bury()
        cause = self.last_words() if code > 0 or code in _SAYS_WHY else ""
        self._ended(f"{self.name} (process {self.process.pid}) {describe_exit(code)}{cause}", now_ns)

    def kill_if_it_hangs(self) -> None:
        """Kill the process, if there is one and it hangs, so that the next can be started."""
        if self.process is None or self._asked_to_end:
            return
        if self.process.shows_life():
            self._pulse.showed_life()
            return
        with suppress(psutil.Error):  # the process is gone, and its exit is about to be reported
            look = self.process.look()
            if self._pulse.still_silent(look, serves=bool(self.endpoint)):
                log.error("%s (process %d) hangs: it %s; it is killed", self.name, self.process.pid, look.doing.value)
                self.process.kill()
                self._pulse = Pulse()

    def works(self) -> bool:
        """Whether the process, which does not serve yet, has worked since the last call."""
        with suppress(psutil.Error):
            return self.process is not None and self._pulse.worked(self.process.look())
        return False

    def ask_to_end(self) -> None:
        """Ask the process, if there is one, to end in order. Asks only once, as a second signal ends it at once."""
        if self.process is not None and not self._asked_to_end:
            self._asked_to_end = True
            self.process.terminate()

    def replace(self, kill_ns: int) -> None:
        """Let the process, if there is one, end in order, or kill it at `kill_ns`; then start the next."""
        if self.process is not None and not self.dismissed:
            self.ask_to_end()
            self.due_ns = kill_ns

    def dismiss(self, kill_ns: int) -> None:
        """End the member: its process ends in order, or is killed at `kill_ns`, and no other is started."""
        self.dismissed = True
        self.ask_to_end()
        self.due_ns = kill_ns if self.process is not None else None

    def follow_up(self, now_ns: int) -> bool:
        """Start or kill a process if that is due; False if the system refused to start one."""
        if self.due_ns is None or self.due_ns > now_ns:
            return True
        if self.process is None:
            self.start(now_ns)
            return self.process is not None
        self.process.kill()
        self.due_ns = None
        return True

    @property
    def quick_deaths(self) -> int:
        """How many of its latest processes in a row died soon after their start."""
        return self._policy.quick_deaths

    def last_words(self) -> str:
        """Return the last line that the process printed, as the end of a sentence; empty if it printed none."""
        words = self.process.last_words() if self.process else ""
        return f": {words}" if words else ""

    def _ended(self, how: str, now_ns: int) -> None:
        self.last_end = how
        self.process = None
        self.endpoint = ""
        if self.dismissed:
            self.due_ns = None
            return
        self.delay_ns = self._policy.delay_after_ns(now_ns - self._started_ns)
        self.due_ns = now_ns + self.delay_ns

    def _command(self, status_fd: int, life_fd: int) -> Sequence[str]:
        options = replace(self.options, status_fd=status_fd, life_fd=life_fd)
        return command_of(self._module, to_argument(options))
