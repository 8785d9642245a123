"""What the servers of a simulation are called, and where they listen."""

from __future__ import annotations

ROUTER = "ipc://simulated/router"
INTERNAL = "ipc://simulated/workers"


def url_of(life: int) -> str:
    """Where the router listens for clients in its life of this number: every second one begins elsewhere."""
    return f"{ROUTER}-{life // 2}"


def name_of(worker: int) -> str:
    """Of the server that is this worker."""
    return f"worker {worker}"


def number_of(name: str) -> int:
    """Inverse of name_of."""
    return int(name.removeprefix("worker "))


def endpoint_of(worker: int) -> str:
    """Where clients reach a worker directly."""
    return f"unix://simulated/worker-{worker}"
