"""load_dataset.py as a process, against real clusters: loads, stops half-way, continues, and compares."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from datasets.marks import KEY_PREFIX

from shardstore import LocalCluster
from tests.process.clusters import cluster_on

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"
MAIN = f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
from datasets.command import main
main()
"""
ENDS_HALF_WAY = f"""
import os, signal, sys
sys.path.insert(0, {str(SCRIPTS)!r})
from datasets import batches
from datasets.command import main
from shardstore import Client

writes = []

def put_many(client, pairs, timeout, put_many=Client.put_many):
    put_many(client, pairs, timeout=timeout)
    writes.append(pairs)
    if len(writes) == {{writes}}:
        os.kill(os.getpid(), {{signal}})

batches.BATCH_ENTRIES = 100
Client.put_many = put_many
main()
"""
RECORDS = 1_000


def load(*arguments: str | Path, program: str = MAIN, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False)
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


def people(path: Path) -> Path:
    """Rows of two lines each."""
    rows = (f'{number},"name of\n{number}"\n' for number in range(RECORDS))
    path.write_text("id,name\n" + "".join(rows))
    return path


def row(number: int) -> bytes:
    return b'{"id":"%d","name":"name of\\n%d"}' % (number, number)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> LocalCluster:
    with cluster_on(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize(
    ("writes", "loaded"),
    [(5, 200), (6, 300)],  # batch, mark, batch, mark, batch, mark
    ids=["before the mark", "behind the mark"],
)
def test_a_load_that_ended_half_way_goes_on(
    cluster: LocalCluster, tmp_path: Path, ending: signal.Signals, writes: int, loaded: int
) -> None:
    path = people(tmp_path / "people.csv")
    arguments = ("csv", path, "--key", "id", "--prefix", f"{ending.name}-{writes}/", "--url", cluster.url)
    ended = load(*arguments, program=ENDS_HALF_WAY.format(writes=writes, signal=int(ending)))
    assert ended.returncode == (130 if ending == signal.SIGINT else -signal.SIGKILL), ended.stderr
    if ending == signal.SIGINT:
        assert "stopped: 200 records of this run are certain to be loaded; the same command continues" in ended.stderr
    went_on = load(*arguments, "--verify")
    assert went_on.returncode == 0, went_on.stderr
    assert f"after line {1 + 2 * loaded}; {loaded} records were loaded before" in went_on.stderr
    assert went_on.stdout.startswith(f"loaded {RECORDS - loaded:,} records")
    assert f"compared {RECORDS:,} records" in went_on.stdout
    with cluster.connect() as db:
        prefix = f"{ending.name}-{writes}/".encode()
        assert dict(db.scan(prefix=prefix)) == {prefix + b"%d" % number: row(number) for number in range(RECORDS)}
        assert list(db.scan(prefix=KEY_PREFIX)) == []


def test_it_loads_into_a_cluster_of_its_own_and_that_of_the_directory(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = load("lines", "-", "--data", data, stdin=b"one\ntwo\n")
    assert first.returncode == 0, first.stderr
    assert f"no cluster is running on {data}: starting one for this load" in first.stderr
    with cluster_on(data) as cluster, cluster.connect() as db:
        second = load("lines", "-", "--data", data, "--prefix", "more-", stdin=b"three\n")
        assert (second.returncode, second.stderr) == (0, "")
        assert list(db.scan()) == [
            (b"000000000001", b"one"),
            (b"000000000002", b"two"),
            (b"more-000000000001", b"three"),
        ]


def test_ctrl_c_stops_the_cluster_that_it_started(tmp_path: Path) -> None:
    data, path = tmp_path / "data", people(tmp_path / "people.csv")
    ended = load("csv", path, "--key", "id", "--data", data, program=ENDS_HALF_WAY.format(writes=4, signal=2))
    assert ended.returncode == 130, ended.stderr
    went_on = load("csv", path, "--key", "id", "--data", data, "--verify")
    assert went_on.returncode == 0, went_on.stderr
    assert went_on.stdout.startswith(f"loaded {RECORDS - 200} records")


def test_nobody_at_the_url_ends_it_with_3(tmp_path: Path) -> None:
    ended = load("lines", "-", "--url", f"unix://{tmp_path}/nobody", "--timeout", "0.1", stdin=b"a\n")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("Error: ")
    assert ended.stderr.count("\n") == 1


def test_the_standard_library_can_be_loaded_in_part(cluster: LocalCluster) -> None:
    package = Path(subprocess.__file__).parent / "json"
    loaded = load("pysource", package, "--url", cluster.url, "--verify")
    assert loaded.returncode == 0, loaded.stderr
    with cluster.connect() as db:
        lines = (value for _, value in db.scan(prefix=b"decoder.py:"))
        assert b"".join(lines) == (package / "decoder.py").read_bytes()
