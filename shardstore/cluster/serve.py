"""Runs a cluster as the main program, until a signal ends it."""

from __future__ import annotations

import signal
from collections.abc import Callable

from shardstore.cluster.orphans import orphans_buried
from shardstore.cluster.settings import ClusterSettings
from shardstore.cluster.supervisor import Supervisor

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(settings: ClusterSettings, on_ready: Callable[[str], None]) -> None:
    """Run a cluster until SIGINT, SIGTERM or SIGHUP; a second one ends it at once. Raises as Supervisor.run does.

    Must be called in the main thread. `on_ready` gets the url and must return soon.
    """
    supervisor = Supervisor(settings)
    # Signals that are ignored stay ignored: nohup and a shell's `&` rely on this.
    heeded = [number for number in STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, lambda *_: supervisor.request_stop()) for number in heeded}
    try:
        with orphans_buried(lambda: supervisor.processes().values()):
            supervisor.run(on_ready)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
