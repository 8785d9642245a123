"""Clients with keys, over tcp: who is let in, what each role may do, and what nobody is shown."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from shardstore import AccessDenied, Client, InvalidRequest, LocalCluster, connect, connect_async
from shardstore.access.client_keys import read_client_key
from shardstore.access.key_store import KeyStore
from shardstore.client_role import ROLES
from shardstore.system.posix_filesystem import PosixFilesystem
from tests.process.clusters import MEMORY, kill, served
from tests.process.deadlines import wait_until

pytestmark = pytest.mark.slow

REVOKED_SECONDS_MAX = 1.0


def keys_of(data: Path) -> KeyStore:
    return KeyStore(PosixFilesystem(str(data)), str(data), os.urandom)


class Keyed:
    """A cluster that listens over tcp, and key files of each role."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.store = keys_of(data)
        for role in ROLES:
            self.make(role, role)
        self.cluster = LocalCluster(data, workers=2, memory=MEMORY, ranges=8, listen="tcp://127.0.0.1:0")

    def path(self, name: str) -> str:
        return f"{self.data}-{name}.key"

    def make(self, name: str, role: str) -> str:
        self.store.add(name, ROLES[role], self.path(name))
        return self.path(name)

    def connect(self, name: str, direct: bool = True) -> Client:
        return connect(self.cluster.url, direct, key=self.path(name), timeout=10)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    keyed = Keyed(tmp_path_factory.mktemp("keyed") / "data")
    with keyed.cluster:
        yield keyed


def goes_directly(db: Client) -> bool:
    channels = db._pump._driver._session._lane_map.channels.values()
    return bool(channels) and all(channel.direct for channel in channels)


def go_directly(db: Client) -> None:
    """Use the client until it talks to all workers directly."""
    wait_until(lambda: db.get(b"nothing") is None and goes_directly(db), "direct links", 10)


@pytest.mark.parametrize("direct", [True, False])
def test_each_role_may_do_its_part(keyed: Keyed, direct: bool) -> None:
    with (
        keyed.connect("read", direct) as reader,
        keyed.connect("write", direct) as writer,
        keyed.connect("admin", direct) as admin,
    ):
        if direct:
            for db in (reader, writer, admin):
                go_directly(db)
        writer.put_many({b"%02x" % at: b"%d" % at for at in range(256)})
        assert reader.get(b"10") == b"16"
        assert len(list(reader.scan())) == reader.count() >= 256
        assert reader.stats()["router"]["requests_denied"] >= 0
        for call in (
            lambda: reader.put(b"k", b"v"),
            lambda: reader.put_many({b"%02x" % at: b"" for at in range(256)}),
            lambda: reader.delete(b"10"),
            lambda: reader.increment(b"n"),
            reader.flush,
            writer.compact,
            writer.admin.ranges,
            lambda: reader.admin.split(b"zz"),
        ):
            with pytest.raises(AccessDenied, match=r"has the role .* needs .*: use a key that has it"):
                call()
        assert reader.get(b"10") == b"16"
        writer.flush()
        admin.compact()
        assert len(admin.admin.ranges()) == 8
        assert goes_directly(admin) == direct


def test_what_is_sent_directly_does_not_pass_the_router(keyed: Keyed) -> None:
    with keyed.connect("write") as db:
        go_directly(db)
        before = db.stats()["router"]["requests"].get("put", 0)
        for at in range(50):
            db.put(b"%02x" % at, b"value")
        assert db.stats()["router"]["requests"].get("put", 0) == before


def test_a_client_of_asyncio_and_one_of_another_process(keyed: Keyed) -> None:
    async def use() -> bytes | None:
        async with connect_async(keyed.cluster.url, key=keyed.path("write")) as db:
            await db.put(b"from", b"asyncio")
            with pytest.raises(AccessDenied):
                await db.admin.ranges()
            return await db.get(b"from")

    assert asyncio.run(use()) == b"asyncio"
    program = "import shardstore; print(shardstore.connect().get(b'from'))"
    environment = {**os.environ, "SHARDSTORE_URL": keyed.cluster.url, "SHARDSTORE_KEY": keyed.path("read")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "b'asyncio'\n"


def test_clients_on_this_host_need_no_key(keyed: Keyed) -> None:
    with connect(keyed.data) as db, keyed.cluster.connect() as other:
        db.put(b"local", b"1")
        assert other.admin.ranges()
        assert other.get(b"local") == b"1"


def test_who_has_no_listed_key_is_told_why(keyed: Keyed, tmp_path: Path) -> None:
    stranger = keys_of(tmp_path / "other")
    stranger.add("mallory", ROLES["admin"], str(tmp_path / "mallory.key"))
    began = time.monotonic()
    with pytest.raises(AccessDenied, match="the key mallory is for another store than that at tcp://"):
        connect(keyed.cluster.url, key=tmp_path / "mallory.key")
    with pytest.raises(AccessDenied, match=r"asks for a key: connect with key=PATH, --key PATH or SHARDSTORE_KEY"):
        connect(keyed.cluster.url)
    keyed.make("former", "admin")
    keyed.store.revoke("former")
    with pytest.raises(AccessDenied, match="does not let in the key former: it was revoked; ask for a new one"):
        keyed.connect("former")
    assert time.monotonic() - began < 5


def test_a_key_does_not_talk_to_a_server_without_encryption(keyed: Keyed, tmp_path: Path) -> None:
    with (
        LocalCluster(tmp_path, workers=1, memory=MEMORY, listen="tcp://127.0.0.1:0") as plain,
        pytest.raises(
            AccessDenied, match="does not encrypt, so it is not the store of the key admin: nothing was sent"
        ),
    ):
        connect(plain.url, key=keyed.path("admin"))


@pytest.mark.parametrize("direct", [True, False])
def test_a_revoked_key_is_out_within_a_second(keyed: Keyed, direct: bool) -> None:
    name = f"leaver-{direct}"
    keyed.make(name, "write")
    with keyed.connect(name, direct) as db:
        if direct:
            go_directly(db)
        db.put(b"key", b"value")
        keyed.store.revoke(name)
        revoked = time.monotonic()
        with pytest.raises(AccessDenied, match=f"does not let in the key {name}"):  # noqa: PT012
            while True:
                db.get(b"key", timeout=10)
        assert time.monotonic() - revoked < REVOKED_SECONDS_MAX
        with pytest.raises(AccessDenied):
            db.put(b"key", b"value", timeout=10)
    with keyed.connect("read") as other:
        assert other.get(b"key") == b"value"


def test_a_new_key_is_let_in_at_once(keyed: Keyed) -> None:
    keyed.make("joiner", "read")
    with keyed.connect("joiner") as db:
        assert db.get(b"nothing") is None


def test_a_client_goes_on_when_the_processes_are_started_again(keyed: Keyed) -> None:
    with keyed.connect("write") as db:
        go_directly(db)
        db.put(b"before", b"1")
        for name in ("worker-0", "router", "worker-1"):
            kill(keyed.cluster.processes()[name])
            db.put(b"after", name.encode(), timeout=60)
            assert db.get_many([b"before", b"after"], timeout=60) == [b"1", name.encode()]
        wait_until(lambda: db.get(b"before", timeout=60) == b"1" and goes_directly(db), "direct links again", 30)


def test_who_never_ends_the_handshake_is_cut_off_and_others_are_served(keyed: Keyed) -> None:
    host, port = keyed.cluster.url.removeprefix("tcp://").split(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(600)]
    try:
        with keyed.connect("write") as db:
            db.put(b"key", b"value")
        cut = 0
        for each in idle:
            each.settimeout(0.01)
            with closing(each):
                try:
                    cut += len(each.recv(100)) == 64 and each.recv(100) == b""
                except (TimeoutError, ConnectionResetError):
                    continue
        assert cut >= 600 - 512
    finally:
        for each in idle:
            each.close()


def test_no_secret_is_shown(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = keys_of(data)
    store.add("alice", ROLES["write"], str(tmp_path / "alice.key"))
    text = (tmp_path / "alice.key").read_text() + (data / "SERVER.KEY").read_text()
    secrets = re.findall(r"secret (\w{64})", text)
    assert len(secrets) == 2
    shown: list[str] = []
    with served(data, "--listen", "tcp://127.0.0.1:0", "--workers", "2") as process:
        assert process.stdout is not None
        while not (url := re.search(r"tcp://[\d.:]+", line := process.stdout.readline().decode())):
            shown.append(line)
        with connect(url[0], key=tmp_path / "alice.key") as db:
            db.put(b"key", b"value")
            shown += [repr(db), str(vars(db)), repr(read_client_key(str(tmp_path / "alice.key")))]
            with pytest.raises(AccessDenied) as denied:
                db.compact()
            shown += [str(denied.value), repr(denied.value)]
            for each in psutil.Process(process.pid).children(recursive=True):
                shown += [" ".join(each.cmdline()), str(each.environ())]
        store.revoke("alice")
        with pytest.raises(AccessDenied) as revoked:
            connect(url[0], key=tmp_path / "alice.key")
        shown.append(str(revoked.value))
        process.terminate()
        shown.append(process.communicate(timeout=60)[0].decode())
    shown += [path.read_text("latin-1") for path in data.rglob("*") if path.is_file() and path.name != "SERVER.KEY"]
    for secret in secrets:
        raw = bytes.fromhex(secret)
        for text in shown:
            assert secret not in text
            assert raw.decode("latin-1") not in text
            assert repr(raw)[2:-1] not in text


def test_other_hosts_are_not_listened_to_without_keys(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidRequest, match="so it needs keys of clients: make the first one with `shardstore keys new"
    ):
        LocalCluster(tmp_path, memory=MEMORY, listen="tcp://0.0.0.0:0")
    keys_of(tmp_path).add("alice", ROLES["read"], str(tmp_path / "alice.key"))
    with LocalCluster(tmp_path, workers=1, memory=MEMORY, listen="tcp://0.0.0.0:0") as cluster:
        port = cluster.url.rpartition(":")[2]
        with connect(f"tcp://localhost:{port}", key=tmp_path / "alice.key") as db:
            go_directly(db)
            assert db.get(b"key") is None


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    keys_of(tmp_path).add("alice", ROLES["read"], str(tmp_path / "alice.key"))
    os.chmod(tmp_path / "SERVER.KEY", 0o644)
    with pytest.raises(Exception, match=r"SERVER\.KEY can be read by others \(mode 644\)"):
        LocalCluster(tmp_path, workers=1, memory=MEMORY, listen="tcp://127.0.0.1:0").start()
