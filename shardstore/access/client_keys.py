"""Reads the key of a client. It is apart from key_store.py, since clients do not need what makes keys."""

from __future__ import annotations

from shardstore.access.key_files import ClientKey, InvalidKeyFile, decode_client_key
from shardstore.access.private_files import read_private
from shardstore.errors import InvalidRequest


def read_client_key(path: str) -> ClientKey:
    """Return the key in a client's key file. Raises InvalidRequest."""
    try:
        return decode_client_key(read_private(path))
    except InvalidKeyFile as error:
        raise InvalidRequest(
            f"{path} holds no key of a client: {error}; `shardstore keys new` makes such a file"
        ) from None
