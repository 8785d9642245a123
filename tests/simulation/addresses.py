"""Names and addresses of the servers of a simulation."""

from __future__ import annotations

ROUTER = "simulated/router"
INTERNAL = "unix://simulated/workers"


def url_of(life: int, remote: bool) -> str:
    """The address for clients, on other hosts if `remote`, in this life of the router; it changes every second life."""
    return f"{'tcp' if remote else 'unix'}://{ROUTER}-{life // 2}"


def name_of(worker: int) -> str:
    """The name of the server of a worker."""
    return f"worker {worker}"


def number_of(name: str) -> int:
    """Inverse of name_of."""
    return int(name.removeprefix("worker "))


def endpoint_of(worker: int) -> str:
    """The address at which clients reach a worker directly."""
    return f"unix://simulated/worker-{worker}"
