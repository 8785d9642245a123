"""`shardstore export` and `shardstore import` with real clusters, by the commands that users give."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

import shardstore
from shardstore import keys, values
from shardstore.client.blocking.client import Client
from tests.process.clusters import served
from tests.process.deadlines import wait_until

NUMBERED = 60_000


def command(data: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "shardstore", *arguments, "--data", str(data)]


def run(data: Path, *arguments: str, code: int = 0, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(command(data, *arguments), input=stdin, capture_output=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return done


def fill(db: Client) -> None:
    db.put_many({b"%08d" % number: sha256(b"%d" % number).digest() * 2 for number in range(NUMBERED)})
    db.put_many({b"\xff\x00%d" % number: bytes(range(number)) for number in range(200)}, ttl=3_600)
    visits = db.space("visits", key=keys.Tuple(str, int), value=values.Json(), ttl=7_200)
    visits.update({("ada", day): {"pages": day, "of": [None, "ü"]} for day in range(500)})
    db.space("together", key=keys.Str(), value=values.MsgPack(), together=True)["a"] = {1: b"\0"}
    db.delete(b"00000007")


def content(data: Path) -> tuple[object, ...]:
    """All entries of a store, and in how many minutes some of them expire."""
    with shardstore.connect(data) as db:
        visits, together = db.space("visits"), db.space("together")
        left = [db.ttl(b"\xff\x00%d" % number) for number in range(200)]
        infos = [info._replace(number=0) for info in db.spaces().values()]
        minutes = [each and round(each / 60) for each in (*left, visits.ttl(("ada", 7)))]
        return dict(db.scan(end=b"\xff\xff")), dict(visits.items()), dict(together.items()), infos, minutes


@pytest.mark.slow
@pytest.mark.parametrize("form", ["jsonl", "bundle"])
def test_another_store_has_the_same_after_an_import_though_both_were_killed(tmp_path: Path, form: str) -> None:
    file = tmp_path / f"all.{form}"
    with served(tmp_path / "a"), served(tmp_path / "b"):
        with shardstore.connect(tmp_path / "a") as db:
            fill(db)
            entries = db.count(end=b"\xff\xff") + 501
        kill_when(command(tmp_path / "a", "export", str(file)), lambda: size_of_parts(tmp_path) > 500_000)
        assert size_of_parts(tmp_path) > 500_000
        other = tmp_path / f"other.{form}"
        for part in tmp_path.glob("*.part"):
            part.rename(str(part).replace(str(file), str(other)))
        assert run(tmp_path / "a", "export", str(other), "--end", "00000005").stdout.startswith(b"exported 5 entries")
        for part in tmp_path.glob("*.part"):
            part.rename(str(part).replace(str(other), str(file)))
        said = run(tmp_path / "a", "export", str(file), "--verify")
        assert said.stdout == f"exported {entries:,} entries to {file}\n".encode()
        assert b"going on: " in said.stderr
        progress = Path(f"{file}.progress")
        kill_when(command(tmp_path / "b", "import", str(file)), progress.exists)
        assert progress.exists()
        assert run(tmp_path / "b", "import", str(file), "--verify").stdout.startswith(b"imported ")
        assert not progress.exists()
        there, here = content(tmp_path / "b"), content(tmp_path / "a")
        assert there == here
        check_refusals(tmp_path, file)


def kill_when(words: list[str], is_due: Callable[[], bool]) -> None:
    """Start a command and kill it when a condition holds."""
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(is_due, "there is something to go on with")
    os.kill(child.pid, signal.SIGKILL)
    child.wait()


def size_of_parts(folder: Path) -> int:
    return sum(part.stat().st_size for part in folder.glob("*.part"))


def check_refusals(tmp_path: Path, file: Path) -> None:
    a = tmp_path / "a"
    said = run(a, "export", str(file), code=3)
    assert f"{str(file)!r} exists: remove it, or choose another name" in said.stderr.decode()
    said = run(a, "export", str(tmp_path / "x.jsonl"), "--space", "nobody", code=3)
    assert b"there is no space 'nobody'; the store has: together, visits" in said.stderr
    damaged = tmp_path / "damaged"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    said = run(a, "import", str(damaged), code=3)
    assert f"{damaged} at byte ".encode() in said.stderr
    with shardstore.connect(tmp_path / "b") as db:
        db.drop_space("visits")
        db.space("visits", key=keys.Str())
        db.put(b"00000001", b"stays, as nothing is imported")
    said = run(tmp_path / "b", "import", str(file), code=3)
    text = (
        "the space 'visits' of the store has keys of the type Str(), that of the file Tuple(str, int): import it into "
        "another store, or drop the space before"
    )
    assert text in said.stderr.decode()
    with shardstore.connect(tmp_path / "b") as db:
        assert db.get(b"00000001") == b"stays, as nothing is imported"


@pytest.mark.slow
def test_parts_of_a_store_pipes_and_parquet(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    with served(a), served(b):
        with shardstore.connect(a) as db:
            fill(db)
        piped = run(a, "export", "-", "--space", "visits", "--start", '["ada", 100]', "--end", '["ada", 103]').stdout
        shown = [json.loads(line) for line in piped.splitlines()]
        assert [line["key"] for line in shown if "key" in line and "space" not in line] == [
            ["ada", n] for n in (100, 101, 102)
        ]
        assert run(b, "import", "-", stdin=piped).stdout == b"imported 3 entries\n"
        bundle = run(a, "export", "-", "--space", "visits", "--form", "bundle").stdout
        assert run(b, "import", "-", stdin=bundle).stdout == b"imported 500 entries\n"
        damaged = piped.replace(b'"pages":102', b'"pages":103')
        said = run(b, "import", "-", code=3, stdin=damaged)
        assert b"the checksum of the lines before does not match. 0 entries before it are imported" in said.stderr
        said = run(b, "import", "-", "--verify", code=2, stdin=piped)
        assert b"--check and --verify need a file: the standard input is read only once" in said.stderr
        said = run(a, "export", "-", "--space", "visits", "--start", "7", code=3)
        assert b"a bound is no key of the space, whose keys are Tuple(str, int): " in said.stderr
        assert run(a, "export", str(tmp_path / "p.jsonl"), "--prefix", "0000000").stdout.startswith(
            b"exported 9 entries"
        )
        said = run(a, "export", "-", "--form", "parquet", code=3)
        assert b"a file of Parquet is not written to the standard output: name a file" in said.stderr
        table = tmp_path / "visits.parquet"
        run(a, "export", str(table), "--space", "visits", "--verify")
        run(b, "import", str(table), "--verify")
        assert run(b, "import", str(table), "--check").stdout == f"{table} is whole: 500 entries\n".encode()
        with shardstore.connect(a) as ours, shardstore.connect(b) as theirs:
            assert dict(theirs.space("visits").items()) == dict(ours.space("visits").items())
        said = run(b, "import", "-", code=3, stdin=table.read_bytes())
        assert (
            b"a file of Parquet is not read from a pipe: name the file. 0 entries before it are imported" in said.stderr
        )
        Path(f"{table}.progress.new").mkdir()
        said = run(b, "import", str(table))
        assert b"if the import is interrupted, it begins anew: " in said.stderr
        assert said.stdout == f"imported 500 entries from {table}\n".encode()
