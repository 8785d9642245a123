"""Opening the files of a store for a client that runs where they are."""

from __future__ import annotations

import gc
import os
import resource
from pathlib import Path

import pytest

from shardstore.client import open_reader as module
from shardstore.client.direct.ask import ASK, IN_MEMORY
from shardstore.client.open_reader import TABLES_MAX, TABLES_MIN, open_reader
from shardstore.identifiers import Epoch, SegmentId, WorkerId, tag_of_store
from shardstore.limits import MIB
from shardstore.system.board_files import KEEPS_ORDER, BoardFiles
from shardstore.system.running_cluster import identity_of
from shardstore.wire.route_map import Route, RouteMap
from shardstore.wire.wire_format import Op, Status
from tests.unit.worker_driver import STORE, WorkerDriver

pytestmark = pytest.mark.skipif(not KEEPS_ORDER, reason="there are no boards on this host")

ROUTES = RouteMap(1, (Route(b"", SegmentId(1), WorkerId(0), Epoch(1), created=True),))


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data directory of a worker whose only range has one drained key."""
    data = tmp_path / "data"
    (data / "workers/0000").mkdir(parents=True)
    boards = BoardFiles(str(data), identity_of(data), str(tmp_path / "board-0"))
    worker = WorkerDriver(data, boards=boards).serve()  # type: ignore[arg-type]
    worker.put({b"drained": b"1"})
    worker.settle()
    flushed = worker.ask(Op.FLUSH)
    worker.settle()
    assert worker.status(flushed) is Status.OK
    worker.put({b"in memory": b"2"})
    worker.settle()
    return data


def test_a_reader_reads_what_the_worker_has_drained_and_knows_what_it_has_not(data: Path) -> None:
    reader = open_reader(str(data), STORE, MIB)
    assert reader is not None
    assert reader.get(b"drained", ROUTES) == b"1"
    assert reader.get(b"absent", ROUTES) is None
    assert reader.get(b"in memory", ROUTES) is IN_MEMORY


def test_without_a_data_directory_there_is_no_reader(tmp_path: Path) -> None:
    assert open_reader("", STORE, MIB) is None
    assert open_reader(str(tmp_path / "nowhere"), STORE, MIB) is None
    assert not (tmp_path / "nowhere").exists(), "a client makes no directory"
    (tmp_path / "file").touch()
    assert open_reader(str(tmp_path / "file"), STORE, MIB) is None


@pytest.mark.skipif(not os.geteuid(), reason="root may read everything")
def test_a_directory_that_this_user_may_not_read_has_no_reader(data: Path) -> None:
    data.chmod(0)
    try:
        assert open_reader(str(data), STORE, MIB) is None
    finally:
        data.chmod(0o700)


def test_on_a_host_without_boards_there_is_no_reader(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEPS_ORDER", False)
    assert open_reader(str(data), STORE, MIB) is None


def test_a_directory_without_a_board_has_a_reader_that_asks(tmp_path: Path) -> None:
    reader = open_reader(str(tmp_path), STORE, MIB)
    assert reader is not None
    assert reader.get(b"a", ROUTES) is ASK
    assert [*tmp_path.iterdir()] == [], "a client writes nothing"


def test_another_directory_in_its_place_is_not_read(data: Path) -> None:
    reader = open_reader(str(data), STORE, MIB)
    assert reader is not None
    data.rename(data.with_name("before"))
    data.mkdir()
    assert reader.get(b"drained", ROUTES) is ASK


def test_who_lets_go_of_a_reader_has_no_descriptor_of_it(data: Path) -> None:
    before = descriptors()
    reader = open_reader(str(data), STORE, MIB)
    assert reader is not None
    assert reader.get(b"drained", ROUTES) == b"1"
    assert descriptors() > before
    del reader
    assert descriptors() == before


@pytest.mark.parametrize(
    ("limit", "tables"),
    [
        (64, TABLES_MIN),
        (1024, 256),
        (2**20, TABLES_MAX),
        (resource.RLIM_INFINITY, TABLES_MAX),
    ],
)
def test_tables_take_a_part_of_the_descriptors(monkeypatch: pytest.MonkeyPatch, limit: int, tables: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (limit, limit))
    assert module._tables_max() == tables


def test_the_store_is_that_of_the_worker(data: Path) -> None:
    """A reader of another store finds no board, even in the same directory."""
    assert tag_of_store(STORE) != tag_of_store("another")
    reader = open_reader(str(data), "another", MIB)
    assert reader is not None
    assert reader.get(b"drained", ROUTES) is ASK
