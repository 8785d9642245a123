"""The worker's side of its maintenance process: starts it, gives it jobs, and starts it again when it dies or hangs.

One thread has the process for its whole life, since the child's parent-death signal is tied to the thread that started
it, and takes the outcomes; another one hands jobs over, so that neither side ever waits for the other to read. A third
one looks at the process while it has a job: one that hangs (pulse.py) is killed.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Event as Flag
from threading import Thread

import psutil

from shardstore.effects import Event, JobFailed, JobFinished, StartJob
from shardstore.limits import SECOND_NS
from shardstore.options import MaintenanceOptions, WorkerOptions, to_argument
from shardstore.own_program import command_of
from shardstore.pulse import LOOK_NS, Pulse
from shardstore.watched_process import describe_exit, has_shown_life, look_at, new_life
from shardstore.workers.jobs.specs import decode_result, encode_spec
from shardstore.workers.maintenance.channel import ChannelClosed, Outcome, decode_damage, receive, send

ENDING_S = 1.0
"""Time for a process that has closed its channel to end by itself, and so to tell why."""
RESTART_DELAY_S = 0.2
RESTART_DELAY_S_MAX = 10.0
"""After processes that ended before they had ended a job."""


class MaintenanceProcess:
    """Runs jobs in a process of its own. `post` takes the events, from a thread.

    The process runs from `start` on; jobs that are given before wait for it.
    """

    def __init__(self, options: WorkerOptions, post: Callable[[Event], None]) -> None:
        self._options = options
        self._post = post
        self._jobs: SimpleQueue[StartJob | None] = SimpleQueue()
        self._running: dict[int, StartJob] = {}
        self._wanted = Flag()
        self._tried = Flag()
        self._closing = Flag()
        self._restart_delay_s = RESTART_DELAY_S
        self._process: subprocess.Popen[bytes] | None = None
        self._life = new_life()
        self._threads = [
            Thread(target=self._serve, name="maintenance", daemon=True),
            Thread(target=self._watch, name="maintenance watch", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def start(self) -> None:
        """Start the process, and return when it is there. Starting twice is allowed."""
        self._wanted.set()
        self._tried.wait()

    def start_job(self, job: StartJob) -> None:
        """Run a job; its end is posted."""
        self._jobs.put(job)

    def close(self) -> None:
        """End the process, whatever it does: an unfinished job leaves files that count for nothing."""
        self._closing.set()
        self._wanted.set()
        self._tried.set()
        if self._process is not None:
            self._process.kill()
        for thread in self._threads:
            thread.join()
        os.close(self._life)

    def _serve(self) -> None:
        self._wanted.wait()
        while not self._closing.is_set():
            ours, theirs = socket.socketpair()
            with ours:
                with theirs:
                    try:
                        self._process = self._spawn(theirs)
                    finally:
                        self._tried.set()
                self._run_jobs(ours)
            self._end_process(self._process)

    def _watch(self) -> None:
        """Kill a process that hangs in a job: then the next one is started, and the job is tried again."""
        pulse = Pulse()
        while not self._closing.wait(LOOK_NS / SECOND_NS):
            process = self._process
            if process is None or not self._running or has_shown_life(self._life):
                pulse.showed_life()
                continue
            with suppress(psutil.Error):  # it is gone, which the other thread sees
                look = look_at(process.pid)
                if pulse.still_silent(look, serves=True):
                    _say(f"the maintenance process ({process.pid}) hangs: it {look.doing.value}; it is killed")
                    process.kill()
                    pulse.showed_life()

    def _run_jobs(self, channel: socket.socket) -> None:
        """Hand jobs over and post their ends, until the process has ended."""
        sender = Thread(target=self._send_jobs, args=(channel,), name="maintenance jobs", daemon=True)
        sender.start()
        reason = "the worker stops"
        try:
            while not self._closing.is_set():
                number, answer = receive(channel)
                self._restart_delay_s = RESTART_DELAY_S
                self._post(_event(self._running.pop(number), answer))
        except ChannelClosed as closed:
            reason = f"the maintenance process ended: {closed}"
        self._jobs.put(None)
        sender.join()
        while self._running:
            self._post(JobFailed(self._running.popitem()[0], reason))

    def _send_jobs(self, channel: socket.socket) -> None:
        while (job := self._jobs.get()) is not None:
            self._running[job.job] = job
            with suppress(ChannelClosed):  # the other thread sees it too, and has all that run end
                send(channel, job.job, encode_spec(job.spec))

    def _spawn(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        worker = self._options
        options = MaintenanceOptions(
            worker.data, worker.worker, theirs.fileno(), self._life, worker.segments, worker.identity
        )
        return subprocess.Popen(  # noqa: S603  # our own interpreter and module
            command_of("shardstore.workers.maintenance", to_argument(options)),
            stdin=subprocess.PIPE,
            pass_fds=[theirs.fileno(), self._life],
        )

    def _end_process(self, process: subprocess.Popen[bytes]) -> None:
        code = _end_of(process)
        if process.stdin:
            process.stdin.close()
        if not self._closing.is_set():
            again = f"it is started again in {self._restart_delay_s:.1f} s"
            _say(f"the maintenance process ({process.pid}) {describe_exit(code)}; {again}")
        self._closing.wait(self._restart_delay_s)
        self._restart_delay_s = min(2 * self._restart_delay_s, RESTART_DELAY_S_MAX)


def _end_of(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a process that has closed its channel: it is ending, or it has gone wrong and is killed."""
    with suppress(subprocess.TimeoutExpired):
        return process.wait(ENDING_S)
    process.kill()
    return process.wait()


def _say(words: str) -> None:
    """Tell who operates the store; the supervisor logs it."""
    sys.stderr.write(f"{words}\n")


def _event(job: StartJob, answer: bytes) -> Event:
    """The end of a job, from what the process says of it."""
    outcome, body = Outcome(answer[0]), answer[1:]
    if outcome is Outcome.FINISHED:
        return JobFinished(job.job, decode_result(job.spec, body))
    if outcome is Outcome.DAMAGED:
        damage = decode_damage(body)
        return JobFailed(job.job, str(damage), damage)
    return JobFailed(job.job, body.decode(errors="replace"))
