"""The error texts of the command line and of starting a cluster, as a user reads them.

Each text says in one line what happened, why, and what to do, and does not contradict itself. `HERE` stands for a
directory whose name has a space and a quote; QUOTED and NOTHING are it and a name in it, quoted for a shell.
"""

from __future__ import annotations

import re
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shardstore import Closed, InvalidRequest, LocalCluster, ShardstoreError, connect
from shardstore.cli import commands as cli
from shardstore.files.documents import encode_document
from shardstore.files.formats import STORE_DOCUMENT
from tests.process.clusters import MEMORY

SERVE = ("serve", "--memory", MEMORY, "--data")
UNREADABLE, WRONG_USAGE, FAILED = 1, 2, 3
NOT_RUNNING = [
    (
        "get k --data HERE/nothing",
        FAILED,
        "and there is no such directory: start one with `shardstore serve --data NOTHING`",
    ),
    ("get k --data HERE", FAILED, "no cluster is running on HERE: start one with `shardstore serve --data QUOTED`"),
    ("get k --data HERE/file", FAILED, "no cluster is running on HERE/file, which is a file and no directory"),
    ("get k --url http://x", FAILED, "'http://x' is no cluster's url, which begins with unix:// or tcp://"),
    ("get k --url tcp://127.0.0.1", FAILED, "'tcp://127.0.0.1' has no port: write it like tcp://127.0.0.1:7700"),
    ("get k --url tcp://127.0.0.1:99999", FAILED, "'tcp://127.0.0.1:99999' has a port that is not 1 to 65535"),
    ("get k --url unix://", FAILED, "'unix://' has no path: write it like unix:///run/app/store"),
    ("get k --url tcp://localhost:1", FAILED, "nobody listens at tcp://localhost:1"),
    ("serve --socket '' --data HERE/new", FAILED, "socket is the path of a socket, not ''"),
    ("serve --socket HERE/none/s --data HERE/new", FAILED, "there is no directory HERE/none for the socket: make it"),
    ("serve --socket-mode 660 --data HERE/new", FAILED, "say who is let in at a socket=PATH: name one"),
    ("serve --socket HERE/s --socket-mode 999 --data HERE/new", FAILED, "socket_mode is a mode like 0o660"),
    ("serve --socket HERE/s --socket-group no-such --data HERE/new", FAILED, "this host has no group 'no-such'"),
    ("serve --split-bytes 1 --data HERE/new", FAILED, "split_bytes is 1024 to 1152921504606846976, not 1"),
    ("serve --part-max-bytes 1 --data HERE/new", FAILED, "sizes ascend: block_bytes, part_min_bytes, part_max_bytes"),
    ("serve --bloom-bits-per-key nan --data HERE/new", FAILED, "bloom_bits_per_key is 0 to 64, not nan"),
    ("get k --url tcp://127.0.0.1:1 --timeout 0.2", FAILED, "nobody listens at tcp://127.0.0.1:1"),
    ("get k --timeout much", WRONG_USAGE, "'much' is not a valid float"),
    ("get", WRONG_USAGE, "Missing argument 'KEY'"),
    ("got", WRONG_USAGE, "No such command 'got'"),
    ("get k --raw --json --data HERE", FAILED, "no cluster is running on HERE"),
    ("inspect HERE/nothing", WRONG_USAGE, 'HERE/nothing" does not exist'),
    ("inspect HERE", WRONG_USAGE, 'HERE" is a directory'),
    ("serve --data HERE/file", FAILED, "HERE/file is no directory: name one, or a place where one can be made"),
    (
        "serve --data HERE/file/below",
        FAILED,
        "cannot make the data directory HERE/file/below: Not a directory; choose another place",
    ),
    (
        "serve --data /proc/nothing",
        FAILED,
        "cannot make the data directory /proc/nothing: No such file or directory; choose another place",
    ),
    ("serve --data ''", FAILED, "the data directory has an empty name: name one"),
    (
        "serve --memory 10MiB --data HERE/new",
        FAILED,
        "memory=10MiB is too little: a store needs 96 MiB for each worker; give it that",
    ),
    ("serve --memory 100MiB --workers 2 --data HERE/new", FAILED, "at least 192MiB for the 2 here, or fewer workers"),
    ("serve --memory much --data HERE/new", FAILED, "'much' is no size; write it like 512MiB or 2GiB"),
    ("serve --memory 1000TiB --data HERE/new", FAILED, "memory=1,048,576,000 MiB is more than the "),
    ("serve --workers 0 --data HERE/new", FAILED, "a store has 1 to 256 workers, not 0"),
    ("serve --ranges 0 --data HERE/new", FAILED, "a store has 1 to 65536 ranges, not 0"),
    (
        "serve --listen foo --data HERE/new",
        FAILED,
        "'foo' is no address to listen on; write it like tcp://127.0.0.1:7700",
    ),
    ("serve --listen tcp://0.0.0.0:1 --data HERE/new", FAILED, "can be reached from other hosts"),
    ("serve --durability x --data HERE/new", WRONG_USAGE, "'x' is not one of 'async', 'group_sync', 'sync'"),
    ("serve --block-bytes 0 --data HERE/new", FAILED, "block_bytes is 1024 to 1048576, not 0"),
    (
        "serve --data HERE/newer",
        FAILED,
        "STORE at byte 8: format version 99, this program (0.1.0) reads version 1: a newer shardstore wrote it; "
        "it needs a release after 0.1.0, nothing was changed",
    ),
    ("serve --data HERE/junk", FAILED, "STORE at byte 4: ends inside the 24 bytes of its head"),
    ("doctor HERE", UNREADABLE, "HERE holds no store: name the directory that `serve` has as --data"),
    ("doctor HERE/nothing", UNREADABLE, 'HERE/nothing" does not exist'),
    ("doctor HERE/half --json --repair", UNREADABLE, "--json --repair asks nobody: add --yes"),
    ("wal dump HERE/half --worker 7", UNREADABLE, "there is no log of worker 7 here; there is one of []"),
    ("wal dump HERE", UNREADABLE, "HERE holds no store"),
    ("wal verify", UNREADABLE, "Missing argument 'DIR'"),
    ("serve --data HERE/half", FAILED, "STORE at byte 0: is missing, though the directory holds the files of a store"),
]
RUNNING = [
    ("doctor HERE", UNREADABLE, "this process runs a cluster on HERE already, at unix://"),
    ("wal verify HERE", UNREADABLE, "this process runs a cluster on HERE already, at unix://"),
    ("serve --data HERE", FAILED, "this process runs a cluster on HERE already, at unix://"),
    ("get k --timeout -1 --data HERE", FAILED, "timeout"),
    ("get k --timeout nan --data HERE", FAILED, "timeout"),
    ("get k --raw --json --data HERE", WRONG_USAGE, "--raw and --json are two ways to print the value: choose one"),
    ("get nobody --data HERE", 1, "no such key: nobody"),
    ("get '' --data HERE", FAILED, "a key has 1 to 4,096 bytes, not 0"),
    (f"put {'k' * 5000} v --data HERE", FAILED, "a key has 1 to 4,096 bytes, not 5,000"),
    ("put --hex abc 00 --data HERE", FAILED, "'abc' is not hexadecimal: give two digits per byte"),
    ("scan --resume zz --data HERE", FAILED, "'zz' is not hexadecimal: give two digits per byte"),
    ("scan --resume 00 --data HERE", FAILED, "what a scan resumes from is the resume_token of a scan"),
    (f"scan --limit {10**24} --data HERE", FAILED, "limit is None or a number of entries, 0 to 2**64 - 2, not 1000"),
    ("split '' --data HERE", FAILED, "a key has 1 to 4,096 bytes, not 0"),
    ("delete a '' --data HERE", FAILED, "entry 1: a key has 1 to 4,096 bytes, not 0; nothing was applied"),
    ("flush --start b --end a --data HERE", FAILED, "no key lies between start b'b' and end b'a'"),
    ("move k --to -1 --data HERE", FAILED, "a worker is named by its number, 0 to 255, not -1"),
    ("scan --limit 0 --data HERE", WRONG_USAGE, "0 is not in the range x>=1"),
    ("move k --to 7 --data HERE", FAILED, "there is no worker 7"),
    ("workers drain 9 --data HERE", FAILED, "there is no worker 9"),
]
WITH_A_SPACE = {
    "changes": "changes --data HERE",
    "compact": "compact --data HERE",
    "delete": "delete k --data HERE",
    "flush": "flush --data HERE",
    "get": "get k --data HERE",
    "inspect": "inspect HERE/STORE",
    "memory": "memory --data HERE",
    "merge": "merge k --dry-run --data HERE",
    "move": "move k --to 1 --dry-run --data HERE",
    "put": "put k v --data HERE",
    "ranges": "ranges --data HERE",
    "rebalance": "rebalance --dry-run --data HERE",
    "scan": "scan --data HERE",
    "split": "split k --dry-run --data HERE",
    "stats": "stats --data HERE",
    "status": "status --data HERE",
    "workers": "workers add --dry-run --data HERE",
}
THAT_SAY_HOW_FAR = {
    "export": "export 'HERE/all of it.jsonl' --data HERE",
    "import": "import 'HERE/all of it.jsonl' --data HERE",
}
"""These write lines to the standard error although nothing is wrong."""
"""All commands except `serve`, and those on stores that are not served, which other tests cover."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("it's here")
    (place / "file").write_text("x")
    for name, content in {"newer": encode_document(STORE_DOCUMENT._replace(version=99), {}), "junk": b"junk"}.items():
        (place / name).mkdir()
        (place / name / "STORE").write_bytes(content)
    (place / "half" / "router").mkdir(parents=True)
    return place


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("it's running")
    with LocalCluster(place, workers=2, memory=MEMORY, ranges=2):
        yield place


def run(words: str, here: Path) -> Result:
    return CliRunner().invoke(cli.main, [word.replace("HERE", str(here)) for word in shlex.split(words)])


def check(result: Result, here: Path, code: int, text: str) -> None:
    nothing, quoted = shlex.quote(f"{here}/nothing"), shlex.quote(str(here))
    wanted = text.replace("NOTHING", nothing).replace("QUOTED", quoted).replace("HERE", str(here))
    assert result.exit_code == code, result.output
    assert wanted in result.stderr
    assert "Traceback" not in result.stderr
    assert not re.search(r"\b(OSError|TypeError|AttributeError|ZMQError|Errno)\b", result.stderr)
    if code == FAILED:
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(("words", "code", "text"), NOT_RUNNING, ids=[case[0] for case in NOT_RUNNING])
def test_what_is_said_when_nothing_runs(here: Path, words: str, code: int, text: str) -> None:
    check(run(words, here), here, code, text)


@pytest.mark.parametrize(("words", "code", "text"), RUNNING, ids=[case[0][:40] for case in RUNNING])
def test_what_is_said_by_a_cluster(cluster: Path, words: str, code: int, text: str) -> None:
    check(run(words, cluster), cluster, code, text)


def test_every_command_takes_a_path_with_a_space(cluster: Path) -> None:
    assert {*WITH_A_SPACE, *THAT_SAY_HOW_FAR, "serve", "doctor", "wal", "keys"} == set(cli.main.commands)
    run("put k v --data HERE", cluster)
    for name in sorted(WITH_A_SPACE, key="delete".__eq__):
        result = run(WITH_A_SPACE[name], cluster)
        assert (result.exit_code, result.stderr) == (0, ""), name
    for name, words in THAT_SAY_HOW_FAR.items():
        result = run(words, cluster)
        assert result.exit_code == 0, result.stderr
        assert "all of it.jsonl" in result.stdout, name


def failure_of(data: Path, **settings: object) -> str:
    with pytest.raises(ShardstoreError) as failure:
        LocalCluster(data, memory=MEMORY, **settings).start()  # type: ignore[arg-type]
    return str(failure.value)


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        said = failure_of(tmp_path, listen=address)
    assert re.fullmatch(
        rf"the cluster did not start: router \(process \d+\) exited with code 1: cannot listen on {address}: "
        "Address already in use",
        said,
    )


def test_what_is_said_of_a_value_that_is_no_counter(cluster: Path) -> None:
    said = (
        "the value is no counter, which is a whole number of 64 bits in decimal digits, or the sum would be beyond "
        "64 bits; it stays as it is"
    )
    with connect(cluster) as db:
        for value in (b"Ada", str(2**63 - 1).encode()):
            db.put(b"counter", value)
            with pytest.raises(InvalidRequest, match=f"^{said}$"):
                db.increment(b"counter")
            assert db.get(b"counter") == value


def test_a_cluster_is_started_once(tmp_path: Path) -> None:
    with LocalCluster(tmp_path, workers=1, memory=MEMORY).start() as cluster:
        with pytest.raises(Closed, match=r"^the cluster runs already: use it as it is$"):
            cluster.start()
        assert "runs a cluster on" in failure_of(tmp_path)
    for use in (cluster.start, cluster.connect, lambda: cluster.url):
        with pytest.raises(Closed, match=r"^the cluster was stopped: make a new LocalCluster$"):
            use()


def test_a_route_map_of_a_newer_version_is_named(tmp_path: Path) -> None:
    with LocalCluster(tmp_path, workers=1, memory=MEMORY):
        pass
    routes = bytearray((tmp_path / "router" / "ROUTES").read_bytes())
    routes[8] += 1
    (tmp_path / "router" / "ROUTES").write_bytes(routes)
    assert "router/ROUTES at byte 8: format version" in (said := failure_of(tmp_path))
    assert "a newer shardstore wrote it; it needs a release after 0.1.0, nothing was changed" in said
