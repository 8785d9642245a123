"""Clients across a restart of their cluster, and a directory that was copied while its cluster ran."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import pytest

from shardstore import InvalidRequest, LocalCluster, Unavailable, connect, connect_async
from shardstore.system.running_cluster import running_on
from tests.process.deadlines import wait_until

pytestmark = pytest.mark.slow

MEMORY = "288MiB"


@pytest.mark.parametrize("by", ["data directory", "url"])
@pytest.mark.parametrize("listen", [None, "tcp://127.0.0.1:0"])
def test_a_client_goes_on_at_another_url_with_more_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listen: str | None, by: str
) -> None:
    with TemporaryDirectory(dir="/tmp") as runtime:
        with LocalCluster(tmp_path, workers=1, memory=MEMORY, listen=listen) as cluster:
            db = connect(cluster.url if by == "url" else tmp_path)
            assert db.increment(b"visits") == 1
            before = cluster.url
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        with LocalCluster(tmp_path, workers=2, memory=MEMORY, listen=listen) as cluster:
            assert cluster.url != before
            assert db.increment(b"visits") == 2
            db.put_many({b"%c" % byte: b"x" for byte in range(256)})
            assert len(list(db.scan())) == 257
            db.close()


def test_an_asyncio_client_waits_for_the_cluster_to_come_back(tmp_path: Path) -> None:
    async def program() -> None:
        cluster = LocalCluster(tmp_path, workers=1, memory=MEMORY)
        await asyncio.to_thread(cluster.start)
        db = await connect_async(tmp_path)
        await db.put(b"k", b"v")
        await asyncio.to_thread(cluster.stop)
        with pytest.raises(Unavailable):
            await db.get(b"k", timeout=0.7)
        under_way = asyncio.create_task(db.get(b"k", timeout=60))
        again = LocalCluster(tmp_path, memory=MEMORY)
        await asyncio.to_thread(again.start)
        assert await under_way == b"v"
        await db.close()
        await asyncio.to_thread(again.stop)

    asyncio.run(program())


@pytest.mark.parametrize("there", ["nothing", "an empty directory"])
def test_processes_that_start_again_make_no_new_store_where_the_directory_was(tmp_path: Path, there: str) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    with LocalCluster(data, workers=1, memory=MEMORY) as cluster, cluster.connect() as db:
        db.put(b"k", b"v")
        data.rename(elsewhere)
        if there != "nothing":
            data.mkdir()
        before = cluster.processes()
        for name in ("router", "worker-0"):
            os.kill(before[name], signal.SIGKILL)
        wait_until(
            lambda: cluster.processes().get("worker-0", before["worker-0"]) != before["worker-0"], "a new worker", 60
        )
        with pytest.raises(Unavailable):
            db.get(b"k", timeout=1)
        if there != "nothing":
            data.rmdir()  # which says that it is empty
        elsewhere.rename(data)
        assert db.get(b"k", timeout=60) == b"v"


def test_another_store_in_the_place_of_the_first_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with LocalCluster(data, workers=1, memory=MEMORY) as cluster:
        db = cluster.connect()
        db.put(b"k", b"v")
    data.rename(tmp_path / "old")
    with LocalCluster(data, workers=1, memory=MEMORY) as cluster:
        with pytest.raises(Unavailable, match="holds another store now"):
            db.get(b"k")
        with pytest.raises(Unavailable, match="holds another store now"):
            db.put(b"other", b"is not sent to another store, so it is not in doubt")
        with cluster.connect() as other:
            assert other.get(b"k") is None
    shutil.rmtree(data)
    (tmp_path / "old").rename(data)
    with LocalCluster(data, memory=MEMORY):
        assert (db.get(b"k"), db.get(b"other")) == (b"v", None)
    db.close()


def test_a_copy_of_a_running_directory_is_a_store_of_its_own(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    with LocalCluster(data, workers=1, memory=MEMORY) as original, original.connect() as db:
        db.put(b"k", b"original")
        shutil.copytree(data, copy)
        put = [sys.executable, "-m", "shardstore", "put", "k", "wrong", "--data", str(copy)]
        ran = subprocess.run(put, capture_output=True, text=True, check=False, timeout=60)
        assert (ran.returncode, db.get(b"k")) == (3, b"original")
        assert "no cluster is running on" in ran.stderr
        with LocalCluster(copy, memory=MEMORY) as copied, copied.connect() as other:
            other.put(b"k", b"copy")
            assert db.get(b"k") == b"original"
        with original.connect() as another:
            assert another.get(b"k") == b"original"


def test_the_directory_of_the_sockets_comes_back(tmp_path: Path) -> None:
    with LocalCluster(tmp_path, workers=1, memory=MEMORY) as cluster, cluster.connect() as old:
        old.put(b"k", b"v")
        shutil.rmtree(running_on(tmp_path).runtime_directory)
        with connect(tmp_path) as new:
            assert new.get(b"k") == b"v"
        shutil.rmtree(running_on(tmp_path).runtime_directory)
        for name in ("worker-0", "router"):
            os.kill(cluster.processes()[name], signal.SIGKILL)
        old.put(b"k", b"w", timeout=60)
        with connect(tmp_path, timeout=60) as new:
            assert new.get(b"k") == b"w"


def test_a_socket_of_ones_choice_is_the_url_for_good_but_only_for_its_store(tmp_path: Path) -> None:
    with TemporaryDirectory(dir="/tmp") as base:
        chosen = {"memory": MEMORY, "workers": 1, "socket": f"{base}/store", "socket_mode": "660"}
        with LocalCluster(tmp_path / "data", **chosen) as cluster:
            assert cluster.url == f"unix://{base}/store"
            db = connect(cluster.url)
            db.put(b"k", b"v")
            assert sorted(os.listdir(base)) == ["store", "store.worker-0"]
            assert {stat.S_IMODE(os.stat(f"{base}/{name}").st_mode) for name in os.listdir(base)} == {0o660}
            with pytest.raises(InvalidRequest, match="another process listens at"):
                LocalCluster(tmp_path / "other", **chosen).start()
            assert db.get(b"k") == b"v"
        assert os.listdir(base) == []
        with LocalCluster(tmp_path / "other", **chosen) as other:
            with pytest.raises(Unavailable, match="another store is served at"):
                db.put(b"k", b"wrong")
            with other.connect() as newcomer:
                assert list(newcomer.scan()) == []
        with LocalCluster(tmp_path / "data", **chosen):
            assert db.get(b"k") == b"v"
        db.close()


@pytest.mark.parametrize("listen", [None, "tcp://127.0.0.1:0"])
def test_processes_meet_elsewhere_when_the_directory_of_the_sockets_is_gone_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listen: str | None
) -> None:
    runtime = Path(mkdtemp(dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    with LocalCluster(tmp_path, workers=2, memory=MEMORY, listen=listen) as cluster, cluster.connect() as old:
        before = running_on(tmp_path).runtime_directory
        assert Path(before).parent == runtime
        old.put(b"k", b"v")
        shutil.rmtree(runtime)
        runtime.touch()  # it cannot be made again, as after a logout
        wait_until(lambda: running_on(tmp_path).runtime_directory != before, "another directory", 60)
        assert old.increment(b"visits", timeout=60) == 1
        assert cluster.url == running_on(tmp_path).url
        with connect(tmp_path, timeout=60) as new:
            assert new.get(b"k", timeout=60) == b"v"
            assert new.increment(b"visits") == 2
    runtime.unlink()
