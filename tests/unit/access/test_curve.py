"""The server's side of CURVE lets in who proves a listed key, and refuses all else without an exception of its own."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import PrivateKey

from shardstore.access.curve import (
    HANDSHAKE_BYTES_MAX,
    OTHER_SERVER,
    OVERHEAD_BYTES,
    UNKNOWN_KEY,
    CurveServer,
    Refused,
    error_command,
    key_pair,
)
from shardstore.access.key_files import ServerKey
from shardstore.access.key_list import ListedKey
from shardstore.client_role import ClientRole
from tests.unit.access.curve_client import CurveClient

SERVER = ServerKey(*key_pair(os.urandom))
OWN = PrivateKey.generate()
KEY = ListedKey("alice", ClientRole.WRITE, bytes(OWN.public_key))
LISTED = {KEY.public: KEY}


def connection() -> tuple[CurveServer, CurveClient]:
    return CurveServer(SERVER, LISTED.get, os.urandom, b"metadata"), CurveClient(SERVER.public, OWN)


def welcomed() -> tuple[CurveServer, CurveClient]:
    server, client = connection()
    client.take_welcome(server.take(client.hello()))
    return server, client


def ready() -> tuple[CurveServer, CurveClient]:
    server, client = welcomed()
    assert client.take_ready(server.take(client.initiate())) == b"metadata"
    server.check_invariants()
    return server, client


def test_a_listed_key_is_let_in_and_frames_go_both_ways() -> None:
    server, client = ready()
    assert server.ready
    assert server.key == KEY
    for flags, frame in ((0, b""), (1, b"x"), (2, b"\x04PING"), (0, bytes(100_000))):
        assert server.open(client.seal(flags, frame)) == (flags, frame)
        assert client.open(server.seal(flags, frame)) == (flags, frame)
    assert len(client.seal(0, b"frame")) == len(b"frame") + OVERHEAD_BYTES


def test_the_same_frame_is_never_sealed_the_same() -> None:
    server, _ = ready()
    assert len({server.seal(0, b"frame") for _ in range(100)}) == 100


def refused(server: CurveServer, command: bytes, reason: str = "") -> str:
    with pytest.raises(Refused) as info:
        server.take(command)
    assert info.value.reason == reason
    assert not server.ready
    server.check_invariants()
    return str(info.value)


def test_an_unlisted_key_is_told_so() -> None:
    server, _ = connection()
    stranger = CurveClient(SERVER.public)
    stranger.take_welcome(server.take(stranger.hello()))
    assert "not in the list of keys" in refused(server, stranger.initiate(), UNKNOWN_KEY)
    assert error_command(UNKNOWN_KEY) == b"\x05ERROR\x03400"


def test_a_client_of_another_server_is_told_so() -> None:
    server, _ = connection()
    lost = CurveClient(key_pair(os.urandom)[0], OWN)
    refused(server, lost.hello(), OTHER_SERVER)


def test_who_knows_a_listed_key_but_not_its_secret_is_refused() -> None:
    server, client = welcomed()
    client.own = PrivateKey.generate()
    type(client).public.fget  # noqa: B018
    forger = Forger(client)
    refused(server, forger.initiate())


class Forger(CurveClient):
    """Claims the public key of another."""

    def __init__(self, client: CurveClient) -> None:
        self.__dict__.update(client.__dict__)

    @property
    def public(self) -> bytes:
        return KEY.public


def other_vouch(client: CurveClient) -> None:
    client.vouched = bytes(PrivateKey.generate().public_key) + SERVER.public


def vouch_for_another_server(client: CurveClient) -> None:
    client.vouched = bytes(client.short.public_key) + key_pair(os.urandom)[0]


def cookie_of_another(client: CurveClient) -> None:
    client.cookie = welcomed()[1].cookie


def nonce_again(client: CurveClient) -> None:
    client.nonce = 0


def long_metadata(client: CurveClient) -> None:
    client.metadata = bytes(HANDSHAKE_BYTES_MAX)


@pytest.mark.parametrize(
    "change", [other_vouch, vouch_for_another_server, cookie_of_another, nonce_again, long_metadata]
)
def test_a_forged_initiate_is_refused(change: Callable[[CurveClient], None]) -> None:
    server, client = welcomed()
    change(client)
    refused(server, client.initiate())


def test_commands_of_another_connection_are_refused() -> None:
    server, _ = welcomed()
    _, other = welcomed()
    refused(server, other.initiate())


def test_a_repeated_or_early_command_is_refused() -> None:
    server, client = connection()
    hello = client.hello()
    client.take_welcome(server.take(hello))
    refused(server, hello)
    server, client = connection()
    client.theirs, client.cookie = client.server, bytes(96)
    refused(server, client.initiate())
    server, client = ready()
    with pytest.raises(Refused, match="after its end"):
        server.take(client.hello())
    with pytest.raises(Refused, match="before the end"):
        connection()[0].open(bytes(100))


def test_a_frame_that_is_repeated_reordered_or_changed_is_refused() -> None:
    server, client = ready()
    first, second = client.seal(0, b"first"), client.seal(0, b"second")
    assert server.open(second).frame == b"second"
    for frame in (first, second):
        with pytest.raises(Refused, match="nonce"):
            server.open(frame)
    third = bytearray(client.seal(0, b"third"))
    third[-1] ^= 1
    with pytest.raises(Refused, match="does not open"):
        server.open(bytes(third))
    with pytest.raises(Refused, match="flags 4"):
        server.open(client.seal(4, b"flags"))


@pytest.mark.parametrize("length", [0, 7, 8, 16, OVERHEAD_BYTES - 1])
def test_a_frame_too_short_for_a_box_is_refused(length: int) -> None:
    server, client = ready()
    with pytest.raises(Refused):
        server.open(client.seal(0, b"")[:length])


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31), b"\xff" * 32], ids=["zero", "one", "not canonical"])
def test_a_public_key_of_low_order_is_refused(point: bytes) -> None:
    server, client = connection()
    hello = bytearray(client.hello())
    hello[80:112] = point
    with pytest.raises(Refused):
        server.take(bytes(hello))


@given(st.integers(0, 2), st.integers(0, 400), st.integers(1, 255), st.integers(-20, 20))
def test_a_changed_byte_or_length_ends_the_handshake(step: int, at: int, change: int, longer: int) -> None:
    server, client = connection() if step == 0 else welcomed() if step == 1 else ready()
    command = (client.hello, client.initiate, lambda: client.seal(0, b"some content"))[step]()
    bad = bytearray(command)
    bad[at % len(bad)] ^= change
    cut = bad[: len(bad) + longer] if longer < 0 else bad + bytes(longer)
    with pytest.raises(Refused):
        (server.open if step == 2 else server.take)(bytes(cut))
    server.check_invariants()


@given(st.binary(max_size=300), st.integers(0, 2))
def test_any_bytes_are_refused(data: bytes, step: int) -> None:
    server = (connection, welcomed, ready)[step]()[0]
    begin = (b"\x05HELLO\x01\x00", b"\x08INITIATE", b"\x07MESSAGE")[step]
    for command in (data, begin + data):
        with pytest.raises(Refused):
            (server.open if step == 2 else server.take)(command)


def test_keys_follow_from_the_random_bytes_only() -> None:
    seeded = random.Random(7).randbytes
    public, secret = key_pair(seeded)
    assert bytes(PrivateKey(secret).public_key) == public
    assert (public, secret) == key_pair(random.Random(7).randbytes)


def test_no_secret_is_shown() -> None:
    server, _ = ready()
    shown = f"{SERVER!r} {SERVER} {server!r} {KEY!r}"
    assert SERVER.secret.hex() not in shown
    assert repr(SERVER.secret) not in shown
