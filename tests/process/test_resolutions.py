"""Changes that cannot go on, because a file is damaged, are resolved in running stores and in stopped ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shardstore import InvalidRequest, LocalCluster, OutcomeUnknown, TopologyOptions
from shardstore.cli import commands as cli
from shardstore.files.documents import HEAD_BYTES
from shardstore.files.file_names import SEGMENTS, is_segment_aside, manifest, segment_directory
from tests.process.clusters import MEMORY
from tests.process.deadlines import wait_until

pytestmark = pytest.mark.slow
LOW, HIGH = b"\x00low", b"\xffhigh"


def cluster_on(data: Path) -> LocalCluster:
    ranges = None if (data / "STORE").exists() else [b"\x80"]
    return LocalCluster(data, workers=2, memory=MEMORY, ranges=ranges, topology=TopologyOptions(auto_topology=False))


def run(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(cli.main, arguments, input=answer)


@pytest.fixture
def stuck(tmp_path: Path) -> int:
    """A stopped store with a move under way that cannot go on. Returns the segment whose manifest is damaged."""
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        db.put_many({LOW: b"1", HIGH: b"2"})
        db.flush()
        segment = db.admin.ranges()[1].segment
    file = tmp_path / manifest(segment)
    damaged = bytearray(file.read_bytes())
    damaged[HEAD_BYTES + 3] ^= 1
    file.write_bytes(damaged)
    with cluster_on(tmp_path) as cluster, cluster.connect() as db, pytest.raises(OutcomeUnknown):
        db.admin.move(HIGH, 0, timeout=1)
    return segment


def aside(data: Path) -> list[str]:
    return [each.name for each in (data / SEGMENTS).iterdir() if is_segment_aside(each.name)]


@pytest.mark.fault("G4")
def test_an_operator_completes_a_change_of_a_store_that_is_served(stuck: int, tmp_path: Path) -> None:
    where = ("--data", str(tmp_path))
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        wait_until(lambda: manifest(stuck) in str(db.admin.changes()[0].waits_for), "a report of the damage", 20)
        [change] = db.admin.changes()
        assert manifest(stuck) in run("changes", *where).output
        [loss] = db.admin.resolve_change(change.number, "complete", dry_run=True)
        assert (loss.segment, loss.start, loss.end) == (stuck, b"\x80", b"")
        asked = run("changes", "resolve", str(change.number), "--complete", *where, answer="n\n")
        assert asked.exit_code
        assert "of segment" in asked.output
        assert [each.number for each in db.admin.changes()] == [change.number]
        done = run("changes", "resolve", str(change.number), "--complete", "--yes", *where)
        assert f"change {change.number} is resolved: complete" in done.output
        assert db.admin.changes() == []
        assert run("changes", *where).output == "no change is under way\n"
        assert (db.get(LOW), db.get(HIGH)) == (b"1", None)
        db.put(HIGH, b"3")
        assert db.get(HIGH) == b"3"
        with pytest.raises(InvalidRequest, match="there is no change"):
            db.admin.resolve_change(change.number, "cancel")
    assert aside(tmp_path) == [Path(segment_directory(stuck)).name + ".aside-1"]


@pytest.mark.fault("G4")
def test_the_doctor_names_and_completes_a_change_of_a_stopped_store(stuck: int, tmp_path: Path) -> None:
    found = run("doctor", str(tmp_path), "--json", "--processes", "1")
    assert found.exit_code == 2
    [words] = [each["what"] for each in json.loads(found.stdout)["findings"] if each["kind"] == "change"]
    assert words == f"change 1, a move: cannot go on, as its parent, segment {stuck}, cannot be read"
    asked = run("doctor", str(tmp_path), "--repair", "--complete", "1", "--processes", "1", answer="n\nn\n")
    assert "may be lost, and nothing else:" in asked.output
    assert asked.exit_code == 2
    done = run("doctor", str(tmp_path), "--repair", "--complete", "1", "--yes", "--processes", "1")
    assert "change 1 is resolved: complete; the next start carries that out" in done.output
    assert done.exit_code == 0
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        wait_until(lambda: not db.admin.changes(), "the end of the change", 20)
        assert (db.get(LOW), db.get(HIGH)) == (b"1", None)
    assert len(aside(tmp_path)) == 1
    again = run("doctor", str(tmp_path), "--processes", "1")
    assert again.exit_code == 0
    assert "is a segment that an operator gave up" in again.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("changes resolve 1", "say --cancel or --complete"),
        ("changes resolve 1 --cancel --json", "--json asks nobody: add --yes, or --dry-run"),
        ("doctor HERE --complete 1", "--complete and --cancel are for --repair, and for one change at a time"),
    ],
)
def test_wrong_usage_says_what_to_do(arguments: str, said: str, tmp_path: Path) -> None:
    with cluster_on(tmp_path):
        words = arguments.replace("HERE", str(tmp_path)).split()
        where = [] if words[0] == "doctor" else ["--data", str(tmp_path)]
        assert said in run(*words, *where).output
