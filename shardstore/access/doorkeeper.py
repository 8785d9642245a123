"""Knows which keys are let in now. KEYS is read again when it has changed, so that a revoked key is out at once.

If KEYS cannot be read, nobody is let in until it can: an allow list that is in doubt allows nobody.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import TypeAlias

from shardstore.access.curve import CurveServer, RandomBytes
from shardstore.access.key_list import ListedKey
from shardstore.access.key_store import read_key_list, read_server_key
from shardstore.errors import InvalidRequest
from shardstore.files.file_names import KEYS

_Version: TypeAlias = tuple[int, ...]

log = logging.getLogger("shardstore.access")


class Doorkeeper:
    """The server's key pair, and the keys that are let in, of one data directory."""

    def __init__(self, data: str, random: RandomBytes = os.urandom) -> None:
        """Read both. Raises InvalidRequest."""
        self._data = data
        self._random = random
        self._server = read_server_key(data)
        self._version = self._version_now()
        self._listed = {each.public: each for each in read_key_list(data)}

    def lets_in(self, public: bytes) -> ListedKey | None:
        """Return the key with these public bytes, if it is let in now."""
        self.look()
        return self._listed.get(public)

    def look(self) -> bool:
        """Read KEYS again if it has changed; returns whether it has."""
        version = self._version_now()
        if version == self._version:
            return False
        self._version = version
        try:
            self._listed = {each.public: each for each in read_key_list(self._data)}
            log.info("the list of keys has changed: %d keys are let in", len(self._listed))
        except InvalidRequest as flaw:
            self._listed = {}
            log.error("nobody is let in over tcp: %s", flaw)
        return True

    def connection(self, metadata: bytes) -> CurveServer:
        """Return the server's side of a new connection."""
        return CurveServer(self._server, self.lets_in, self._random, metadata)

    def still_lets_in(self, key: object) -> bool:
        """Whether a connection with this key may go on: it is listed, with the same role. As of the latest look."""
        return isinstance(key, ListedKey) and self._listed.get(key.public) == key

    def _version_now(self) -> _Version:
        with suppress(OSError):
            found = os.stat(os.path.join(self._data, KEYS))
            return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_mode, found.st_uid
        return ()
