"""The keys of a data directory: makes, lists and revokes them. A server that runs notices by itself.

KEYS is replaced as a whole, so a reader sees the list before or after a change. One command changes it at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shardstore.access.curve import key_pair
from shardstore.access.key_files import (
    ClientKey,
    InvalidKeyFile,
    ServerKey,
    decode_server_key,
    encode_client_key,
    encode_server_key,
)
from shardstore.access.key_list import InvalidKeyList, ListedKey, checked_name, decode_key_list, encode_key_list
from shardstore.access.private_files import read_private, remove_private, write_private
from shardstore.client_role import ClientRole
from shardstore.errors import InvalidRequest
from shardstore.files.documents import publish
from shardstore.files.file_names import KEYS, KEYS_LOCK, SERVER_KEY
from shardstore.limits import KEYS_MAX
from shardstore.seams.filesystem import Filesystem


def has_keys(data: str) -> bool:
    """Whether keys were made for this data directory, so that it asks clients over tcp for them."""
    return os.path.lexists(os.path.join(data, SERVER_KEY))


def read_server_key(data: str) -> ServerKey:
    """Return the key pair of the server of this data directory. Raises InvalidRequest."""
    path = os.path.join(data, SERVER_KEY)
    try:
        return decode_server_key(read_private(path))
    except InvalidKeyFile as error:
        raise InvalidRequest(f"{path} holds no key of a server: {error}") from None


def read_key_list(data: str) -> list[ListedKey]:
    """Return the keys that are let in. Raises InvalidRequest."""
    path = os.path.join(data, KEYS)
    try:
        return decode_key_list(read_private(path))
    except InvalidKeyList as error:
        raise InvalidRequest(f"{path} holds no list of keys: {error}") from None


class KeyStore:
    """The keys of one data directory."""

    def __init__(self, filesystem: Filesystem, data: str, random: Callable[[int], bytes]) -> None:
        """`random` returns so many random bytes that nobody can guess."""
        self._filesystem = filesystem
        self._data = data
        self._random = random

    @property
    def has_server(self) -> bool:
        """Whether the server has a key pair, so that it asks clients over tcp for keys once it is started."""
        return self._filesystem.exists(SERVER_KEY)

    def listed(self) -> list[ListedKey]:
        """Return the keys that are let in. Raises InvalidRequest."""
        return read_key_list(self._data) if self._filesystem.exists(KEYS) else []

    def add(self, name: str, role: ClientRole, path: str) -> ClientKey:
        """Make a key and its file at `path`, and let it in. Raises InvalidRequest, StorageFailure."""
        checked_name(name)
        with self._locked():
            listed = self.listed()
            if any(each.name == name for each in listed):
                raise InvalidRequest(f"there is a key {name} already: choose another name, or revoke it first")
            if len(listed) >= KEYS_MAX:
                raise InvalidRequest(f"a store has at most {KEYS_MAX} keys: revoke some")
            public, secret = key_pair(self._random)
            key = ClientKey(name, role.word, self._server().public, public, secret)
            write_private(path, encode_client_key(key))
            try:
                publish(self._filesystem, KEYS, encode_key_list([*listed, ListedKey(name, role, public)]))
            except BaseException:
                remove_private(path)
                raise
        return key

    def revoke(self, name: str) -> None:
        """Let a key in no more. Raises InvalidRequest, StorageFailure."""
        with self._locked():
            listed = self.listed()
            kept = [each for each in listed if each.name != name]
            if len(kept) == len(listed):
                raise InvalidRequest(f"there is no key {name!r:.80}: `shardstore keys list` shows all")
            publish(self._filesystem, KEYS, encode_key_list(kept))

    def _server(self) -> ServerKey:
        """The key pair of the server, which is made with the first key of a client."""
        if not self.has_server:
            publish(self._filesystem, KEYS, encode_key_list([]))  # first: a server that has a key needs a list
            publish(self._filesystem, SERVER_KEY, encode_server_key(ServerKey(*key_pair(self._random))))
        return read_server_key(self._data)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self._filesystem.lock(KEYS_LOCK)
        if lock is None:
            raise InvalidRequest("another command changes the keys of this store: try again")
        try:
            yield
        finally:
            lock.release()
