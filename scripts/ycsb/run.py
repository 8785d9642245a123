"""Runs one phase with all its client processes.

    report = run_phase(Settings(url, phase=Phase.LOAD, records=100_000, batch=1_000))
    report = run_phase(Settings(url, workload="a", records=100_000, operations=200_000, processes=4))
    report.operations_per_second

Call it below `if __name__ == "__main__"`, since it spawns processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ycsb.client_process import STOP, TOLD_NS, Done
from ycsb.client_processes import ClientProcesses
from ycsb.measured import Measured, Parts, Point
from ycsb.report import Report, report_of
from ycsb.samples import SECOND_NS
from ycsb.settings import Settings

BEGIN_AFTER_NS = SECOND_NS // 20
"""Time from when all processes are ready to the common start, enough for all to receive the start time."""
KNOWN_AFTER_NS = SECOND_NS + 2 * TOLD_NS
"""Time after the beginning of a second by which all processes should have sent its figures."""
STOP_SECONDS = 2.0
"""How long calls may still take after Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a phase: the latest complete second, and the sums so far."""

    point: Point
    operations: int
    faults: int


OnProgress = Callable[[Progress], None]


class Interrupted(KeyboardInterrupt):
    """Raised on Ctrl-C; `report` holds the figures until then."""

    def __init__(self, report: Report) -> None:
        super().__init__("interrupted")
        self.report = report


def run_phase(settings: Settings, on_progress: OnProgress | None = None) -> Report:
    """Start the client processes, let them begin together, wait for their end, and add up their figures.

    `on_progress` is called about once a second. Raises InvalidRequest for wrong settings, ClientFailed if the store
    cannot be opened or a process dies, and Interrupted on Ctrl-C. All processes have ended when it returns or raises.
    """
    settings.check()
    with ClientProcesses(settings) as clients:
        clients.wait_until_ready()
        begin_ns = time.perf_counter_ns() + BEGIN_AFTER_NS
        clients.tell(begin_ns)
        gathering = _Gathering(begin_ns, on_progress)
        while clients.at_work and not clients.interrupted.is_set():
            gathering.gather(clients)
        clients.tell(STOP)
        deadline = time.monotonic() + STOP_SECONDS
        while clients.at_work and time.monotonic() < deadline:
            gathering.gather(clients)
    report = gathering.report(settings)
    if clients.interrupted.is_set():
        raise Interrupted(report)
    return report


class _Gathering:
    """Adds up the messages of client processes."""

    def __init__(self, begin_ns: int, on_progress: OnProgress | None) -> None:
        self._begin_ns = begin_ns
        self._on_progress = on_progress
        self._measured = Measured(begin_ns)
        self._cpu_seconds = 0.0
        self._second_shown = -1

    def gather(self, clients: ClientProcesses) -> None:
        """Add the waiting messages, and show the progress once a second."""
        for message in clients.messages():
            if isinstance(message, Parts):
                self._measured.add(message)
            elif isinstance(message, Done):
                self._cpu_seconds += message.cpu_seconds
        second = (time.perf_counter_ns() - self._begin_ns - KNOWN_AFTER_NS) // SECOND_NS
        if self._on_progress is not None and second > self._second_shown:
            self._second_shown = second
            measured = self._measured
            self._on_progress(Progress(measured.point(second), measured.operations, measured.faults.total()))

    def report(self, settings: Settings) -> Report:
        """The report of everything added so far."""
        return report_of(settings, self._measured, self._cpu_seconds)
