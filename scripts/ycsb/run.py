"""One phase over all its client processes.

    report = run_phase(Settings(url, phase=Phase.LOAD, records=100_000, batch=1_000))
    report = run_phase(Settings(url, workload="a", records=100_000, operations=200_000, processes=4))
    report.operations_per_second

Call it below `if __name__ == "__main__"`, as everything that spawns processes.
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
"""Between the moment all processes are ready and the common begin: enough for all of them to hear of it."""
KNOWN_AFTER_NS = SECOND_NS + 2 * TOLD_NS
"""After the begin of a second, when all processes should have told of it."""
STOP_SECONDS = 2.0
"""How long a call may still take after Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a phase is: the latest second that is known, and sums up to now."""

    point: Point
    operations: int
    faults: int


OnProgress = Callable[[Progress], None]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C; `report` is what was measured until then."""

    def __init__(self, report: Report) -> None:
        super().__init__("interrupted")
        self.report = report


def run_phase(settings: Settings, on_progress: OnProgress | None = None) -> Report:
    """Start the client processes, let them begin together, wait for their end, and add up what they measured.

    `on_progress` is called about once a second. Raises InvalidRequest for settings that cannot be met, ClientFailed
    when there is no such store or a process dies, and Interrupted on Ctrl-C. All processes have ended in every case.
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
    """Adds up what client processes tell."""

    def __init__(self, begin_ns: int, on_progress: OnProgress | None) -> None:
        self._begin_ns = begin_ns
        self._on_progress = on_progress
        self._measured = Measured(begin_ns)
        self._cpu_seconds = 0.0
        self._second_shown = -1

    def gather(self, clients: ClientProcesses) -> None:
        """Take what was told, and show it once a second."""
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
        """What is known now."""
        return report_of(settings, self._measured, self._cpu_seconds)
