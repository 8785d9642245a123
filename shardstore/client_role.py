"""The role of a client: what it may do."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ClientRole(IntEnum):
    """What a client may do; each role may do what those before it may. access/rights.py has the operations."""

    READ = 1
    """Read keys, scan, count, and see the statistics."""
    WRITE = 2
    """Write, delete, and flush."""
    ADMIN = 3
    """Compact, and change ranges and workers. Clients on this host, over a Unix socket, are admins."""

    @property
    def word(self) -> str:
        """The name of the role: read, write or admin."""
        return self.name.lower()


ROLES = {role.word: role for role in ClientRole}
"""The roles by name."""
ADMIN: Final = int(ClientRole.ADMIN)
"""As a plain integer, which is compared faster."""
