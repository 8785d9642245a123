"""The names of the links between processes, as each process calls its own."""

from __future__ import annotations

CLIENTS = "clients"
"""The link that clients connect to, of the router or of a worker."""
WORKERS = "workers"
"""The link of the router that workers connect to."""
ROUTER = "router"
"""The link of a client or worker to the router."""
