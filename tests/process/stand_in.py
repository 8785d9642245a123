"""Stands in for the router and the workers in tests of the supervisor: serves nothing, or fails as requested.

The first word of the file `behaviour` in the data directory selects the behaviour: "serve" (also without the file),
"die" before readiness, "silent": never ready, or "stubborn": ignores SIGTERM. Each start adds its pid as a line to the
file `starts-<name>`, and writes its options to the file `options-<name>`. The router wants the workers in the file
`workers`, or as many as in its options; on SIGUSR1 it reads that file again. A process that finds a file
`hang-<name>` removes it, and then does what the file says: "loop" or "sleep".
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import Any


def main() -> None:
    options = json.loads(sys.argv[1])
    name = f"worker-{options['worker']}" if "worker" in options else "router"
    data = Path(options["data"])
    (data / f"options-{name}").write_text(sys.argv[1])
    with open(data / f"starts-{name}", "a") as starts:
        starts.write(f"{os.getpid()}\n")
    behaviour = data / "behaviour"
    told = behaviour.read_text() if behaviour.exists() else "serve"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if told == "die":
        sys.exit("a hundred reasons")
    sys.stderr.write("a mishap that it survives\n")
    sys.stderr.flush()
    if told != "silent":
        report(options, {"endpoint": options["listen"]})
        if name == "router":
            signal.signal(signal.SIGUSR1, lambda *_: report_workers(options, data))
            report_workers(options, data)
        else:
            os.close(options["status_fd"])
    if told == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang = data / f"hang-{name}"
    while not select.select([sys.stdin], [], [], 0.05)[0]:
        os.eventfd_write(options["life_fd"], 1)
        if hang.exists():
            how = hang.read_text()
            hang.unlink()
            while how == "loop":
                pass
            threading.Event().wait()


def report_workers(options: dict[str, Any], data: Path) -> None:
    file = data / "workers"
    first = list(range(options["workers_asked"] or options["workers"]))
    report(options, {"workers": json.loads(file.read_text()) if file.exists() else first})


def report(options: dict[str, Any], words: dict[str, Any]) -> None:
    os.write(options["status_fd"], json.dumps(words).encode() + b"\n")


if __name__ == "__main__":
    main()
