"""Checks whether the host of a url has an address.

A resolver may take longer than a caller waits, and an event loop must not wait at all. So it is asked in a thread of
its own, which ends with its reply.
"""

from __future__ import annotations

import socket
from threading import Thread

from shardstore.client.endpoint_probe import is_address


class HostName:
    """The host of a tcp url. `flaw`: why it has no address, once that is known; else empty."""

    def __init__(self, host: str) -> None:
        self.flaw = ""
        self._host = host
        if not is_address(host):
            Thread(target=self._look_up, name=f"looks up {self._host}", daemon=True).start()

    def _look_up(self) -> None:
        try:
            socket.getaddrinfo(self._host, None)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no name of a host"
            self.flaw = f"the host {self._host!r} of the url cannot be found: {reason}"
