"""The commands `doctor` and `wal` on the directories of real stores."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from shardstore import connect, keys, values
from shardstore.doctor import side_by_side
from shardstore.doctor.examination import Examination
from shardstore.errors import StorageFailure
from shardstore.files.file_names import worker_directory
from shardstore.seams.filesystem import Filesystem
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.workers.wal.record_format import FILE_HEADER_BYTES
from tests.process.clusters import descendants, served

STORES = Path(__file__).parents[1] / "golden" / "stores"
pytestmark = pytest.mark.slow


def run(*command: str | Path, answer: str = "") -> subprocess.CompletedProcess[str]:
    asked = [sys.executable, "-m", "shardstore", *map(str, command)]
    return subprocess.run(asked, input=answer, capture_output=True, text=True, timeout=60, check=False)


def examined(data: Path) -> dict[str, Any]:
    done = run("doctor", data, "--json")
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if found["healthy"] else 2), done.stderr
    return found


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with virtual parts, range deletions and spaces, all of whose processes were killed in a split."""
    data = tmp_path_factory.mktemp("doctor") / "data"
    with served(data, "--ranges", "2", "--no-auto-topology") as cluster:
        with connect(str(data)) as db:
            db.put_many((b"%c%05d" % (letter, number), bytes(100)) for letter in b"ak\x90" for number in range(3_000))
            db.flush()
            for boundary in (b"k", b"a01500"):
                db.admin.split(boundary)
            db.delete_range(b"a00100", b"a00200")
            space = db.space("people", key=keys.Str(), value=values.Json())
            space["ada"] = {"born": 1815}
            db.put_many((b"k%05d" % number, b"in the log") for number in range(0, 3_000, 7))
            db.admin.split(b"k01000")
            for number in range(3):
                db.put(b"a00001", b"%d" % number)
        for process in (*descendants(cluster.pid), psutil.Process(cluster.pid)):
            process.kill()
    return data


@pytest.fixture
def data(killed: Path, tmp_path: Path) -> Path:
    """A copy of the store."""
    return Path(shutil.copytree(killed, tmp_path / "copy"))


def test_a_store_whose_processes_were_killed_is_healthy_and_stays_as_it_is(data: Path) -> None:
    before = contents(data)
    done = run("doctor", data)
    assert (done.returncode, done.stdout.splitlines()[-1].partition(":")[0]) == (0, "healthy"), done.stdout
    assert "reading: " in done.stderr
    assert examined(data)["findings"] == []
    assert run("wal", "verify", data).returncode == 0
    assert contents(data) == before


def contents(data: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}


@pytest.mark.parametrize("file", sorted(STORES.glob("*.tar.xz")), ids=lambda file: file.name)
def test_a_store_of_a_former_release_is_healthy(file: Path, tmp_path: Path) -> None:
    with tarfile.open(file) as packed:
        packed.extractall(tmp_path, filter="data")
    assert examined(tmp_path)["findings"] == []


def test_it_refuses_what_is_served_or_is_no_store(tmp_path: Path) -> None:
    with served(tmp_path / "data"):
        for command in (("doctor",), ("wal", "verify"), ("wal", "dump")):
            done = run(*command, tmp_path / "data")
            assert (done.returncode, done.stdout) == (1, "")
            assert "another cluster has" in done.stderr
    (tmp_path / "empty").mkdir()
    for wrong in (["doctor", tmp_path / "missing"], ["doctor", tmp_path / "empty"], ["doctor"], ["wal", "dump", "--x"]):
        assert run(*wrong).returncode == 1
    assert run("doctor", tmp_path / "data", "--json", "--repair").returncode == 1


@pytest.mark.fault("G13")
def test_damage_of_each_kind_is_named(data: Path) -> None:
    table = max(data.glob("segments/*/*.sst"), key=lambda path: path.stat().st_size)
    log = max(data.glob(f"{worker_directory(0)}/wal-*"))
    for file, at, kind in (
        (table, 40, "table"),
        (table.parent / "MANIFEST", 40, "manifest"),
        (data / "router/ROUTES", 40, "route map"),
        (data / "STORE", 30, "identity"),
        (log, FILE_HEADER_BYTES + 80, "log"),
        (data / worker_directory(0) / "LOG", 30, "log"),
    ):
        sound = file.read_bytes()
        damaged = bytearray(sound)
        damaged[at] ^= 1
        file.write_bytes(damaged)
        found = examined(data)["findings"]
        assert kind in {each["kind"] for each in found}, (file, found)
        assert str(file.relative_to(data)) in {each["file"] for each in found}
        assert all(each["meaning"] and each["advice"] for each in found)
        file.write_bytes(sound)
    assert examined(data)["healthy"]
    damaged = bytearray(log.read_bytes())
    damaged[FILE_HEADER_BYTES + 80] ^= 1
    log.write_bytes(damaged)
    verified = run("wal", "verify", data)
    assert verified.returncode == 2
    assert f"LOG  {log.relative_to(data)} at byte {FILE_HEADER_BYTES}" in verified.stdout


def test_files_that_cannot_be_read_are_findings_and_hide_no_others(data: Path) -> None:
    tables = sorted(data.glob("segments/*/*.sst"), key=lambda path: path.stat().st_size)
    unreadable = [tables[-1], tables[0].parent / "MANIFEST", data / worker_directory(1) / "LOG"]
    for file in unreadable:
        file.unlink()
        file.mkdir()
    found = examined(data)["findings"]
    assert {str(file.relative_to(data)) for file in unreadable} <= {each["file"] for each in found}


def test_records_are_printed_as_json_lines(data: Path) -> None:
    def rows(*options: str) -> list[dict[str, Any]]:
        done = run("wal", "dump", data, "--worker", "0", *options)
        assert (done.returncode, done.stderr) == (0, "")
        return list(map(json.loads, done.stdout.splitlines()))

    whole = rows()
    assert [row["lsn"] for row in whole] == list(range(whole[0]["lsn"], whole[-1]["lsn"] + 1))
    assert len(whole) > 2
    assert rows("--from", str(whole[-2]["lsn"]), "--limit", "1") == [whole[-2]]
    assert rows("--from", str(whole[-1]["lsn"])) == whole[-1:]
    assert whole[-1]["keys"] == ["a00001"]
    assert {row["worker"] for row in whole} == {0}


def test_a_repair_asks_and_moves_aside_what_no_range_needs(data: Path) -> None:
    stray = data / "segments" / "photo.jpg"
    stray.write_bytes(b"photo")
    assert [each["file"] for each in examined(data)["findings"]] == ["segments/photo.jpg"]
    declined = run("doctor", data, "--repair", answer="n\n")
    assert declined.returncode == 2
    assert "so no key is lost:" in declined.stdout
    assert stray.exists()
    accepted = run("doctor", data, "--repair", answer="y\n")
    assert accepted.returncode == 0, accepted.stderr
    assert not stray.exists()
    assert (data / "lost+found/0001/segments/photo.jpg").read_bytes() == b"photo"
    assert examined(data)["harmless"] == []
    again = run("doctor", data, "--repair", "--yes")
    assert (again.returncode, "nothing can be repaired without loss" in again.stdout) == (0, True)
    stray.write_bytes(b"photo")
    moved = json.loads(run("doctor", data, "--repair", "--yes", "--json").stdout)
    assert (moved["moved"], moved["to"]) == (["segments/photo.jpg"], "lost+found/0002")
    with served(data), connect(str(data)) as db:
        assert db.space("people", key=keys.Str(), value=values.Json())["ada"] == {"born": 1815}
        assert db.get(b"k00007") == b"in the log"


def run_to_end(filesystem: Filesystem, data: Path) -> Sequence[str]:
    examination = Examination(filesystem, str(data))
    done = [check.file for check in examination.run(processes=2)]
    assert sorted(done) == sorted(check.file for check in examination.checks)
    return [each.what for each in examination.diagnosis.serious]


def test_several_processes_find_what_one_finds(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "SMALL_BYTES", 0)
    filesystem = PosixFilesystem(str(data))
    assert run_to_end(filesystem, data) == []
    table = max(data.glob("segments/*/*.sst"), key=lambda path: path.stat().st_size)
    damaged = bytearray(table.read_bytes())
    damaged[40] ^= 1
    table.write_bytes(damaged)
    assert "checksum of block 0 does not match" in run_to_end(filesystem, data)
    monkeypatch.setattr(side_by_side, "PROGRAM", "shardstore.no_such_module")
    with pytest.raises(StorageFailure, match=r"the process that was to examine .* died"):
        run_to_end(filesystem, data)
