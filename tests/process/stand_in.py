"""Stands in for the router and the workers in tests of the supervisor: serves nothing, or fails as told.

The first word of the file `behaviour` in the data directory says how: "serve" (also without the file), "die" before
readiness, or "silent": never ready. Each start leaves its pid as a line of the file `starts-<name>`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path


def main() -> None:
    options = json.loads(sys.argv[1])
    name = f"worker-{options['worker']}" if "worker" in options else "router"
    data = Path(options["data"])
    with open(data / f"starts-{name}", "a") as starts:
        starts.write(f"{os.getpid()}\n")
    behaviour = data / "behaviour"
    told = behaviour.read_text() if behaviour.exists() else "serve"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if told == "die":
        sys.exit("a hundred reasons")
    if told != "silent":
        os.write(options["status_fd"], json.dumps({"endpoint": options["listen"]}).encode() + b"\n")
    if told == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.close(options["status_fd"])
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
