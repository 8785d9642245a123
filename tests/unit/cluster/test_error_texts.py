"""The errors of setting up a cluster, with their texts: settings, the places of its sockets, its own files."""

from __future__ import annotations

import pickle
import resource
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgpack
import pytest

from shardstore import LocalCluster, SegmentOptions, TopologyOptions
from shardstore.checksum import checksum
from shardstore.cluster import local_cluster, store
from shardstore.cluster.runtime_directory import make_runtime_directory
from shardstore.cluster.settings import cluster_settings
from shardstore.cluster.socket_place import socket_place
from shardstore.cluster.supervisor import Supervisor
from shardstore.files.documents import HEAD_BYTES, encode_document
from shardstore.files.formats import STORE_DOCUMENT
from shardstore.identifiers import DirectoryIdentity
from shardstore.limits import DOCUMENT_BYTES_MAX
from shardstore.options import RouterOptions, from_argument
from shardstore.system.listener import Listener
from shardstore.system.own_program import command_of
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.system.process import raise_descriptor_limit
from shardstore.system.readiness import Readiness
from shardstore.system.stream_links import path_of
from shardstore.system.traffic import TERMS
from tests.unit.client.test_error_texts import said


@pytest.fixture
def here() -> Iterator[Path]:
    """A directory with a path short enough for sockets."""
    with TemporaryDirectory(dir="/tmp") as path:
        yield Path(path)


SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("data is the path of a directory, not 7", {"data": 7}),
    ("the data directory has an empty name: name one, or a place where one can be made", {"data": ""}),
    ("segments is a SegmentOptions, not {}", {"segments": {}}),
    ("topology is a TopologyOptions, not 'off'", {"topology": "off"}),
    ("ranges is a number, or a list of keys in bytes at which ranges begin, not 'm'", {"ranges": "m"}),
    (
        "ranges: the keys at which ranges begin ascend, and none is empty: overlap: b'b' and b'a' are not in order",
        {"ranges": [b"b", b"a"]},
    ),
    ("listen is an address like tcp://127.0.0.1:7700, not 7700", {"listen": 7700}),
    (
        "listen: '127.0.0.1:7700' is no address to listen on; write it like tcp://127.0.0.1:7700 or tcp://[::1]:0",
        {"listen": "127.0.0.1:7700"},
    ),
    (
        "tcp://0.0.0.0:7700 can be reached from other hosts, so it needs keys of clients: make the first one with "
        "`shardstore keys new NAME --role admin --data 'no where'`, then start again",
        {"listen": "tcp://0.0.0.0:7700", "data": "no where"},
    ),
    ("socket_mode and socket_group say who is let in at a socket=PATH: name one", {"socket_mode": 0o660}),
    (
        "a cluster has either a socket=PATH for its clients or listens on an address: choose one",
        {"socket": "/tmp/s", "listen": "tcp://127.0.0.1:7700"},
    ),
    ("socket is the path of a socket, not 7", {"socket": 7}),
    ("there is no directory /nowhere for the socket: make it first", {"socket": "/nowhere/s"}),
    (
        'socket_mode is a mode like 0o660 or "660", for the owner at least 600, not 0o60',
        {"socket": "/tmp/s", "socket_mode": 0o060},
    ),
    ("socket_group: this host has no group 'nobody-here'", {"socket": "/tmp/s", "socket_group": "nobody-here"}),
    (f"/tmp/{'s' * 200} is too long for a socket by 109 bytes: use a shorter one", {"socket": f"/tmp/{'s' * 200}"}),
]


@pytest.mark.parametrize(("text", "settings"), SETTINGS, ids=[text[:40] for text, _ in SETTINGS])
def test_settings_that_are_refused(tmp_path: Path, text: str, settings: dict[str, Any]) -> None:
    assert said(lambda: LocalCluster(**({"data": tmp_path / "store"} | settings))) == f"InvalidRequest: {text}"
    assert not (tmp_path / "store").exists()


OPTIONS: list[tuple[str, Callable[[], Any]]] = [
    ("compression is one of none, lz4, zstd, not 'gzip'", lambda: SegmentOptions(compression="gzip")),  # type: ignore[arg-type]
    ("block_bytes is a number of bytes, not '64KiB'", lambda: SegmentOptions(block_bytes="64KiB")),  # type: ignore[arg-type]
    ("block_bytes is 1024 to 1048576, not 9", lambda: SegmentOptions(block_bytes=9)),
    ("bloom_bits_per_key is 0 to 64, not 65", lambda: SegmentOptions(bloom_bits_per_key=65)),
    (
        "sizes ascend: block_bytes, part_min_bytes, part_max_bytes, main_max_bytes; these are 65536, 16777216, 1, "
        "268435456",
        lambda: SegmentOptions(part_max_bytes=1),
    ),
    ("auto_topology is True or False, not 'no'", lambda: TopologyOptions(auto_topology="no")),  # type: ignore[arg-type]
    ("changes_max is 1 to 64, not 0", lambda: TopologyOptions(changes_max=0)),
    ("no SegmentOptions: 'compression'", lambda: SegmentOptions.from_plain({})),
    (
        "no TopologyOptions: TopologyOptions.__init__() got an unexpected keyword argument 'more'",
        lambda: TopologyOptions.from_plain({"more": 1}),
    ),
    (
        "no RouterOptions: Expecting value: line 1 column 1 (char 0)",
        lambda: from_argument(RouterOptions, "neither JSON nor options"),
    ),
    (
        f"the path of unix:///{'s' * 200} has 201 bytes, allowed are 107: use a shorter directory",
        lambda: path_of(f"unix:///{'s' * 200}"),
    ),
]


@pytest.mark.parametrize(("text", "make"), OPTIONS, ids=[text[:40] for text, _ in OPTIONS])
def test_options_that_are_refused(text: str, make: Callable[[], Any]) -> None:
    assert said(make) == f"InvalidRequest: {text}"


def test_a_cluster_cannot_be_pickled(tmp_path: Path) -> None:
    assert said(lambda: pickle.dumps(LocalCluster(tmp_path))) == (
        "InvalidRequest: a cluster cannot be copied or pickled: connect to it, with "
        f"shardstore.connect({str(tmp_path)!r})"
    )


def test_a_cluster_that_is_stopped_while_it_starts(tmp_path: Path) -> None:
    url: Future[str] = Future()
    supervisor = Supervisor(cluster_settings(tmp_path))
    supervisor.request_stop()
    local_cluster._run(supervisor, url)
    assert said(url.result) == "Unavailable: the cluster was stopped while it started"


def test_places_that_are_taken(here: Path) -> None:
    (here / "file").touch()
    file = socket_place(here / "file", None, None, None)
    assert file is not None
    assert said(file.refuse_if_taken) == (
        f"InvalidRequest: {here}/file is there and is no socket: name another path, or remove it"
    )
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{here}/s")
        listening.listen()
        taken = socket_place(here / "s", None, None, None)
        assert taken is not None
        assert said(taken.refuse_if_taken) == (
            f"InvalidRequest: another process listens at {here}/s: name another path, or stop it first"
        )


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        (
            "tcp://127.0.0.1",
            "cannot listen on tcp://127.0.0.1: write it like tcp://127.0.0.1:7700 or tcp://[::1]:0",
        ),
        ("tcp://127.0.0.1:65536", "cannot listen on tcp://127.0.0.1:65536: a port is at most 65535"),
        ("tcp://192.0.2.1:7700", "cannot listen on tcp://192.0.2.1:7700: Cannot assign requested address"),
    ],
)
def test_addresses_that_nobody_can_listen_on(endpoint: str, text: str) -> None:
    readiness = Readiness()
    try:
        listen = lambda: Listener("clients", endpoint, None, readiness, TERMS, lambda: 0)  # noqa: E731
        assert said(listen) == f"InvalidRequest: {text}"
    finally:
        readiness.close()


def test_no_directory_for_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shardstore.cluster.runtime_directory._bases", lambda: ["/proc/nowhere", "/dev/null"])
    assert said(lambda: make_runtime_directory("store", DirectoryIdentity(1, 2))) == (
        "StorageFailure: no directory for sockets can be made in XDG_RUNTIME_DIR, TMPDIR or /tmp: set one of them"
    )


def test_what_a_process_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    assert said(raise_descriptor_limit) == (
        "InvalidRequest: 64 file descriptors are allowed, 256 are needed; raise `ulimit -n`"
    )
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/app/app")
    assert said(lambda: command_of("shardstore.workers", "{}")) == (
        "InvalidRequest: this program has no Python interpreter to run the processes of a cluster with: run "
        "`shardstore serve` separately, and connect to that"
    )


def test_a_store_that_has_other_ranges_than_asked_for() -> None:
    made = store.Store("5", 2, (b"m",))
    assert said(lambda: store.check_same(made, (b"a", b"b"))) == (
        "InvalidRequest: this store was made with 2 ranges (split at b'm'), not the 3 that were asked for: leave "
        "ranges out"
    )


def sealed(body: bytes) -> bytes:
    head = encode_document(STORE_DOCUMENT, {})[:12] + len(body).to_bytes(4, "little")
    return head + checksum(body, checksum(head)).to_bytes(8, "little") + body


WHOLE = encode_document(STORE_DOCUMENT, {"store": "5", "workers": 2, "boundaries": []})
DAMAGES: list[tuple[str, bytes]] = [
    (
        "0: begins with b'OTHERS\\x00\\x00' instead of b'SHSTORE\\x00': it is another file, or damaged",
        b"OTHERS\0\0" + WHOLE[8:],
    ),
    (f"12: body of {len(WHOLE) - HEAD_BYTES + 1} bytes instead of {len(WHOLE) - HEAD_BYTES}", WHOLE + b"x"),
    ("16: checksum does not match", WHOLE[:-1] + b"x"),
    ("24: body is no msgpack: Unpack failed: incomplete input", sealed(b"\x91")),
    ("24: body is no map", sealed(b"\x90")),
    ("0: has other fields than store, workers, boundaries", sealed(msgpack.packb({"store": 5}))),
    (f"67108864: {DOCUMENT_BYTES_MAX + 1} bytes, more than such a file may have", bytes(DOCUMENT_BYTES_MAX + 1)),
]


@pytest.mark.parametrize(("text", "content"), DAMAGES, ids=[text[:20] for text, _ in DAMAGES])
def test_a_file_that_is_damaged(tmp_path: Path, text: str, content: bytes) -> None:
    (tmp_path / "STORE").write_bytes(content)
    filesystem = PosixFilesystem(str(tmp_path))
    try:
        assert said(lambda: store.read_store(filesystem)) == f"Corruption: STORE at byte {text}"
    finally:
        filesystem.close()
