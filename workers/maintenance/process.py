"""The worker's side of its maintenance process: starts it, gives it jobs, and starts it again when it dies.

One thread has the process for its whole life, since the child's parent-death signal is tied to the thread that started
it, and takes the outcomes; another one hands jobs over, so that neither side ever waits for the other to read.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Event as Flag
from threading import Thread

from shardstore.effects import Event, JobFailed, JobFinished, StartJob
from shardstore.options import MaintenanceOptions, WorkerOptions, to_argument
from shardstore.own_program import command_of
from shardstore.workers.jobs.specs import decode_result, encode_spec
from shardstore.workers.maintenance.channel import ChannelClosed, Outcome, decode_damage, receive, send

RESTART_DELAY_S = 0.2
RESTART_DELAY_S_MAX = 10.0
"""After processes that ended before they had ended a job."""


class MaintenanceProcess:
    """Runs jobs in a process of its own. `post` takes the events, from a thread."""

    def __init__(self, options: WorkerOptions, post: Callable[[Event], None]) -> None:
        self._options = options
        self._post = post
        self._jobs: SimpleQueue[StartJob | None] = SimpleQueue()
        self._running: dict[int, StartJob] = {}
        self._closing = Flag()
        self._restart_delay_s = RESTART_DELAY_S
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = Thread(target=self._serve, name="maintenance", daemon=True)
        self._thread.start()

    def start_job(self, job: StartJob) -> None:
        """Run a job; its end is posted."""
        self._jobs.put(job)

    def close(self) -> None:
        """End the process, whatever it does: an unfinished job leaves files that count for nothing."""
        self._closing.set()
        if self._process is not None:
            self._process.kill()
        self._thread.join()

    def _serve(self) -> None:
        while not self._closing.is_set():
            ours, theirs = socket.socketpair()
            with ours:
                with theirs:
                    self._process = self._spawn(theirs)
                self._run_jobs(ours)
            self._end_process(self._process)

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
        options = MaintenanceOptions(self._options.data, self._options.worker, theirs.fileno(), self._options.segments)
        return subprocess.Popen(  # noqa: S603  # our own interpreter and module
            command_of("shardstore.workers.maintenance", to_argument(options)),
            stdin=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
        )

    def _end_process(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()
        self._closing.wait(self._restart_delay_s)
        self._restart_delay_s = min(2 * self._restart_delay_s, RESTART_DELAY_S_MAX)


def _event(job: StartJob, answer: bytes) -> Event:
    """The end of a job, from what the process says of it."""
    outcome, body = Outcome(answer[0]), answer[1:]
    if outcome is Outcome.FINISHED:
        return JobFinished(job.job, decode_result(job.spec, body))
    if outcome is Outcome.DAMAGED:
        damage = decode_damage(body)
        return JobFailed(job.job, str(damage), damage)
    return JobFailed(job.job, body.decode(errors="replace"))
