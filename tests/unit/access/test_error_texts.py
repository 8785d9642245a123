"""The errors of keys, with their texts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shardstore.access import private_files
from shardstore.access.client_keys import read_client_key
from shardstore.access.key_list import ListedKey, encode_key_list
from shardstore.access.key_store import KeyStore, read_key_list, read_server_key
from shardstore.client_role import ClientRole
from shardstore.errors import InvalidRequest
from shardstore.limits import KEYS_MAX
from shardstore.system.posix_filesystem import PosixFilesystem

READ = ClientRole.READ


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyStore:
    monkeypatch.chdir(tmp_path)
    made = KeyStore(PosixFilesystem("data"), "data", os.urandom)
    made.add("alice", READ, "alice.key")
    return made


def spoil(path: str, content: str = "junk\n", mode: int = 0o600) -> None:
    Path(path).write_text(content)
    os.chmod(path, mode)


def without_permission(store: KeyStore) -> None:
    os.chmod("alice.key", 0o644)
    read_client_key("alice.key")


def missing_file(store: KeyStore) -> None:
    read_client_key("gone.key")


def file_is_a_directory(store: KeyStore) -> None:
    read_client_key("data")


def no_client_key(store: KeyStore) -> None:
    spoil("alice.key")
    read_client_key("alice.key")


def no_server_key(store: KeyStore) -> None:
    spoil("data/SERVER.KEY")
    read_server_key("data")


def no_list(store: KeyStore) -> None:
    spoil("data/KEYS")
    read_key_list("data")


def file_is_there(store: KeyStore) -> None:
    store.add("bob", READ, "alice.key")


def file_in_no_directory(store: KeyStore) -> None:
    store.add("bob", READ, "nowhere/bob.key")


def name_is_there(store: KeyStore) -> None:
    store.add("alice", READ, "again.key")


def name_of_a_path(store: KeyStore) -> None:
    store.add("../a", READ, "a.key")


def no_such_key(store: KeyStore) -> None:
    store.revoke("bob")


def two_commands(store: KeyStore) -> None:
    lock = PosixFilesystem("data").lock("KEYS.LOCK")
    try:
        store.revoke("alice")
    finally:
        assert lock is not None
        lock.release()


def too_many(store: KeyStore) -> None:
    many = [ListedKey(f"n{at}", READ, at.to_bytes(32, "big")) for at in range(KEYS_MAX)]
    Path("data/KEYS").write_bytes(encode_key_list(many))
    store.add("bob", READ, "bob.key")


TEXTS: list[tuple[Callable[[KeyStore], None], str]] = [
    (
        without_permission,
        "the key file alice.key can be read by others (mode 644): chmod 600 alice.key, or make a new key",
    ),
    (missing_file, "the key file 'gone.key' cannot be read: No such file or directory"),
    (file_is_a_directory, "the key file data is no file"),
    (
        no_client_key,
        "alice.key holds no key of a client: its first line is not 'shardstore client key 1'; `shardstore keys new` "
        "makes such a file",
    ),
    (no_server_key, "data/SERVER.KEY holds no key of a server: its first line is not 'shardstore server key 1'"),
    (
        no_list,
        "data/KEYS holds no list of keys: it does not begin with the line 'shardstore keys 1', or does not end with a "
        "line end",
    ),
    (file_is_there, "alice.key is there already, and a key is never overwritten: choose another file"),
    (file_in_no_directory, "the key file nowhere/bob.key cannot be made: No such file or directory"),
    (name_is_there, "there is a key alice already: choose another name, or revoke it first"),
    (
        name_of_a_path,
        "'../a' is no name of a key: it has 1 to 64 letters, digits, dots, dashes and underscores, and begins with a "
        "letter or a digit",
    ),
    (no_such_key, "there is no key 'bob': `shardstore keys list` shows all"),
    (two_commands, "another command changes the keys of this store: try again"),
    (too_many, "a store has at most 4096 keys: revoke some"),
]


@pytest.mark.parametrize(("cause", "text"), TEXTS, ids=[cause.__name__ for cause, _ in TEXTS])
def test_what_is_said(store: KeyStore, cause: Callable[[KeyStore], None], text: str) -> None:
    with pytest.raises(InvalidRequest) as info:
        cause(store)
    assert str(info.value) == text


def test_what_is_said_on_a_full_disk(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(private_files.os, "fsync", full)
    with pytest.raises(InvalidRequest) as info:
        private_files.write_private("bob.key", b"content")
    assert str(info.value) == "the key file bob.key cannot be written: No space left on device"
    assert not Path("bob.key").exists()


@pytest.mark.parametrize("path", ["a\0b", "\udcff\udfff\0"])
def test_what_is_said_of_a_path_that_is_none(path: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read: it has a zero byte or is no text"):
        private_files.read_private(path)
