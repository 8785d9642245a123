"""Keys of a data directory: their files, and who is let in."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.access.client_keys import read_client_key
from shardstore.access.doorkeeper import Doorkeeper
from shardstore.access.key_files import (
    ClientKey,
    InvalidKeyFile,
    ServerKey,
    decode_client_key,
    decode_server_key,
    encode_client_key,
    encode_server_key,
)
from shardstore.access.key_list import InvalidKeyList, ListedKey, decode_key_list, encode_key_list
from shardstore.access.key_store import KeyStore, has_keys
from shardstore.access.private_files import read_private, write_private
from shardstore.access.rights import READS, allows, denial
from shardstore.client_role import ROLES, ClientRole
from shardstore.errors import InvalidRequest
from shardstore.limits import KEYS_MAX
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.wire.wire_format import WRITES, Op

GOLDEN = Path(__file__).parents[2] / "golden"
ALICE = ListedKey("alice", ClientRole.READ, bytes(range(32)))
BOB = ListedKey("bob-2", ClientRole.ADMIN, bytes(range(1, 33)))
SERVER = ServerKey(bytes(range(2, 34)), bytes(range(3, 35)))
CLIENT = ClientKey("alice", "read", SERVER.public, ALICE.public, bytes(range(4, 36)))


def store_on(data: Path) -> KeyStore:
    return KeyStore(PosixFilesystem(str(data)), str(data), os.urandom)


def test_the_formats_are_those_of_the_golden_files() -> None:
    assert encode_key_list([BOB, ALICE]) == (GOLDEN / "key-list-v1.txt").read_bytes()
    assert encode_server_key(SERVER) == (GOLDEN / "server-key-v1.txt").read_bytes()
    assert encode_client_key(CLIENT) == (GOLDEN / "client-key-v1.txt").read_bytes()
    assert decode_key_list((GOLDEN / "key-list-v1.txt").read_bytes()) == [ALICE, BOB]
    assert decode_server_key((GOLDEN / "server-key-v1.txt").read_bytes()) == SERVER
    assert decode_client_key((GOLDEN / "client-key-v1.txt").read_bytes()) == CLIENT


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)


@given(st.dictionaries(NAMES, st.sampled_from(list(ClientRole)), max_size=20), st.randoms())
def test_a_list_of_keys_is_read_as_it_was_written(roles: dict[str, ClientRole], seeded: random.Random) -> None:
    listed = [ListedKey(name, role, seeded.randbytes(32)) for name, role in roles.items()]
    assert decode_key_list(encode_key_list(listed)) == sorted(listed)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "another first line": lambda data: data.replace(b"keys 1", b"keys 2"),
    "no line end": lambda data: data[:-1],
    "an empty line": lambda data: data + b"\n",
    "another role": lambda data: data.replace(b" read ", b" root "),
    "a short key": lambda data: data.replace(b"0001", b"01"),
    "a capital digit": lambda data: data.replace(b"0f", b"0F"),
    "a name of a path": lambda data: data.replace(b"alice", b"../alice"),
    "the same name": lambda data: data.replace(b"bob-2", b"alice"),
    "the same key": lambda data: data.replace(BOB.public.hex().encode(), ALICE.public.hex().encode()),
    "no text": lambda data: data + b"\xff\n",
    "too many": lambda data: encode_key_list(ListedKey(f"n{at}", ClientRole.READ, bytes(32)) for at in range(5000)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_list_is_refused(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(InvalidKeyList):
        decode_key_list(damage(encode_key_list([ALICE, BOB])))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_key_or_refused_without_being_repeated(data: bytes) -> None:
    for decode, refusal in (
        (decode_key_list, InvalidKeyList),
        (decode_client_key, InvalidKeyFile),
        (decode_server_key, InvalidKeyFile),
    ):
        with pytest.raises(refusal):
            decode(data)


@pytest.mark.parametrize("line", range(1, 7))
def test_a_client_key_needs_each_of_its_lines(line: int) -> None:
    lines = encode_client_key(CLIENT).splitlines(keepends=True)
    with pytest.raises(InvalidKeyFile) as info:
        decode_client_key(b"".join([*lines[:line], *lines[line + 1 :]]))
    assert CLIENT.secret.hex() not in str(info.value)


def test_no_secret_is_shown_by_keys() -> None:
    for shown in (repr(CLIENT), str(CLIENT), f"{SERVER}", repr(SERVER)):
        assert "secret" not in shown


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = store_on(data)
    assert store.listed() == []
    assert not has_keys(str(data))
    key = store.add("alice", ClientRole.WRITE, str(tmp_path / "alice.key"))
    assert has_keys(str(data))
    assert store.listed() == [ListedKey("alice", ClientRole.WRITE, key.public)]
    assert read_client_key(str(tmp_path / "alice.key")) == key
    other = store.add("bob", ClientRole.READ, str(tmp_path / "bob.key"))
    assert other.server == key.server
    assert other.secret != key.secret
    store.revoke("alice")
    assert [each.name for each in store.listed()] == ["bob"]
    with pytest.raises(InvalidRequest, match="there is no key 'alice'"):
        store.revoke("alice")
    with pytest.raises(InvalidRequest, match="there is a key bob already"):
        store.add("bob", ClientRole.READ, str(tmp_path / "again.key"))
    assert not (tmp_path / "again.key").exists()


def test_every_file_with_keys_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store_on(tmp_path / "data").add("alice", ClientRole.READ, str(tmp_path / "alice.key"))
    finally:
        os.umask(before)
    for path in (tmp_path / "alice.key", tmp_path / "data" / "KEYS", tmp_path / "data" / "SERVER.KEY"):
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_a_key_is_never_written_over_a_file_nor_through_a_link(tmp_path: Path) -> None:
    there = tmp_path / "there.key"
    there.write_text("mine")
    (tmp_path / "link.key").symlink_to(tmp_path / "nowhere")
    store = store_on(tmp_path / "data")
    for path in (there, tmp_path / "link.key"):
        with pytest.raises(InvalidRequest, match="is there already, and a key is never overwritten"):
            store.add("alice", ClientRole.READ, str(path))
    assert there.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
    assert store.listed() == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o602, 0o660, 0o644])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = str(tmp_path / "wide.key")
    write_private(path, b"content")
    assert read_private(path) == b"content"
    os.chmod(path, mode)
    with pytest.raises(InvalidRequest, match=f"can be read by others \\(mode {mode:o}\\): chmod 600 {path}"):
        read_private(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path, why in ((tmp_path / "pipe", "is no file"), (tmp_path, "is no file"), (tmp_path / "x", "No such file")):
        with pytest.raises(InvalidRequest, match=why):
            read_private(str(path))


@pytest.mark.parametrize("name", ["", "-a", ".a", "a/b", "..", "a b", "a\n", "a" * 65, "ä"])
def test_a_name_is_no_path_and_no_option(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="is no name of a key"):
        store_on(tmp_path / "data").add(name, ClientRole.READ, str(tmp_path / "a.key"))


def test_one_command_changes_the_keys_at_a_time(tmp_path: Path) -> None:
    store, other = store_on(tmp_path), PosixFilesystem(str(tmp_path))
    lock = other.lock("KEYS.LOCK")
    assert lock is not None
    with pytest.raises(InvalidRequest, match="another command"):
        store.add("alice", ClientRole.READ, str(tmp_path / "a.key"))
    lock.release()
    store.add("alice", ClientRole.READ, str(tmp_path / "a.key"))


def test_the_number_of_keys_is_limited(tmp_path: Path) -> None:
    store = store_on(tmp_path)
    store.add("alice", ClientRole.READ, str(tmp_path / "a.key"))
    many = [ListedKey(f"n{at}", ClientRole.READ, at.to_bytes(32, "big")) for at in range(KEYS_MAX)]
    (tmp_path / "KEYS").write_bytes(encode_key_list(many))
    with pytest.raises(InvalidRequest, match="at most 4096 keys"):
        store.add("bob", ClientRole.READ, str(tmp_path / "b.key"))


class TestDoorkeeper:
    def test_it_notices_new_and_revoked_keys(self, tmp_path: Path) -> None:
        store = store_on(tmp_path)
        alice = store.add("alice", ClientRole.READ, str(tmp_path / "a.key"))
        door = Doorkeeper(str(tmp_path))
        key = door.lets_in(alice.public)
        assert key is not None
        assert key.name == "alice"
        assert not door.look()
        bob = store.add("bob", ClientRole.ADMIN, str(tmp_path / "b.key"))
        assert door.lets_in(bob.public) is not None
        assert door.still_lets_in(key)
        store.revoke("alice")
        assert door.look()
        assert not door.still_lets_in(key)
        assert door.lets_in(alice.public) is None

    def test_a_key_with_another_role_is_another_key(self, tmp_path: Path) -> None:
        store = store_on(tmp_path)
        alice = store.add("alice", ClientRole.ADMIN, str(tmp_path / "a.key"))
        door = Doorkeeper(str(tmp_path))
        key = door.lets_in(alice.public)
        assert key is not None
        (tmp_path / "KEYS").write_bytes(encode_key_list([key._replace(role=ClientRole.READ)]))
        assert door.look()
        assert not door.still_lets_in(key)

    @pytest.mark.parametrize("damage", ["", "shardstore keys 1\nalice root 00\n", None])
    def test_a_list_in_doubt_lets_in_nobody(self, tmp_path: Path, damage: str | None) -> None:
        store = store_on(tmp_path)
        alice = store.add("alice", ClientRole.ADMIN, str(tmp_path / "a.key"))
        door = Doorkeeper(str(tmp_path))
        good = (tmp_path / "KEYS").read_bytes()
        if damage is None:
            (tmp_path / "KEYS").unlink()
        else:
            (tmp_path / "KEYS").write_text(damage)
        assert door.lets_in(alice.public) is None
        (tmp_path / "new").write_bytes(good)
        (tmp_path / "new").chmod(0o600)
        (tmp_path / "new").rename(tmp_path / "KEYS")
        assert door.lets_in(alice.public) is not None
        (tmp_path / "KEYS").chmod(0o666)
        assert door.lets_in(alice.public) is None

    def test_without_keys_there_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidRequest, match=r"SERVER\.KEY' cannot be read"):
            Doorkeeper(str(tmp_path))


class TestRights:
    def test_each_role_may_do_what_those_before_it_may(self) -> None:
        for op in Op:
            may = [allows(role, op) for role in ClientRole]
            assert may == sorted(may)
            assert may[-1]

    def test_readers_change_nothing(self) -> None:
        assert not READS & WRITES
        for op in (*WRITES, Op.OUTCOME, Op.FLUSH, Op.COMPACT, Op.ADMIN, Op.REGISTER, Op.CHANGE, Op.RETIRE):
            assert not allows(ClientRole.READ, op)

    def test_writers_do_not_administer(self) -> None:
        assert allows(ClientRole.WRITE, Op.FLUSH)
        for op in (Op.COMPACT, Op.ADMIN, Op.REGISTER, Op.HEARTBEAT, Op.CHANGE, Op.RETIRE, Op.LOAD):
            assert not allows(ClientRole.WRITE, op)

    def test_an_operation_that_nobody_has_listed_is_for_admins(self) -> None:
        assert not allows(ClientRole.WRITE, 255)
        assert allows(ClientRole.ADMIN, 255)

    def test_a_denial_says_which_key_to_use(self) -> None:
        said = denial(ClientRole.READ, Op.PUT)
        assert "has the role read, and put needs write" in said
        assert "shardstore keys new NAME --role write" in said
        assert "needs admin" in denial(ClientRole.WRITE, Op.ADMIN)

    def test_roles_have_names(self) -> None:
        assert [*ROLES] == ["read", "write", "admin"]
