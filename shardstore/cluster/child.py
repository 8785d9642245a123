"""One member of the cluster: the process that plays it now, and when it is started again."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from shardstore.cluster.child_process import ChildProcess, Happening, describe_exit
from shardstore.cluster.restart_policy import RestartPolicy
from shardstore.options import RouterOptions, WorkerOptions, to_argument

PACKAGES = Path(__file__).resolve().parent.parent.parent
"""The directory that holds shardstore, router and workers."""
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONHASHSEED")


class Child:
    """A member: at most one process at a time, and the delays between them."""

    def __init__(
        self, name: str, module: str, options: RouterOptions | WorkerOptions, post: Callable[[Happening], None]
    ) -> None:
        self.name = name
        self.options = options
        self.process: ChildProcess | None = None
        self.endpoint = ""
        """Where the process serves; empty until it does."""
        self.due_ns: int | None = None
        """When the next process is to be started; None while one runs and after the member was given up."""
        self.last_end = ""
        """How the last process ended, in words."""
        self._module = module
        self._post = post
        self._policy = RestartPolicy()
        self._started_ns = 0

    def start(self, now_ns: int) -> None:
        """Start a process; when the system refuses, it is as if it had died at once."""
        assert self.process is None
        self._started_ns = now_ns
        try:
            self.process = ChildProcess(self.name, self._command, child_environment(), self._post)
            self.due_ns = None
        except OSError as error:
            self._ended(f"{self.name} could not be started: {error.strerror}", now_ns)

    def exited(self, code: int, now_ns: int) -> None:
        """Take note that the process is gone, and choose when to start the next."""
        assert self.process is not None
        self._ended(f"{self.name} (process {self.process.pid}) {describe_exit(code)}{self.last_words()}", now_ns)

    def last_words(self) -> str:
        """The last line the process printed, as the end of a sentence; empty when there was none."""
        words = self.process.last_words() if self.process else ""
        return f": {words}" if words else ""

    def _ended(self, how: str, now_ns: int) -> None:
        self.last_end = how
        self.process = None
        self.endpoint = ""
        delay_ns = self._policy.delay_after_ns(now_ns - self._started_ns)
        self.due_ns = None if delay_ns is None else now_ns + delay_ns

    def _command(self, status_fd: int) -> Sequence[str]:
        argument = to_argument(replace(self.options, status_fd=status_fd))
        return [sys.executable, "-P", "-m", self._module, argument]


def run_module(module: str, argument: str) -> int:
    """Run a module of the project, as children are run, with this process's output; answers its exit code."""
    command = [sys.executable, "-P", "-m", module, argument]
    return subprocess.run(command, env=child_environment(), check=False).returncode  # noqa: S603 (it is our own)


def child_environment() -> Mapping[str, str]:
    """The variables a child sees: few, and a module path on which no user's `router` or `workers` comes first."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    # An installed package is found by itself; its directory must not come before the standard library's.
    if str(PACKAGES) not in {*site.getsitepackages(), site.getusersitepackages()}:
        kept["PYTHONPATH"] = str(PACKAGES)
    return kept
