"""The commands of an operator: their requests, and what they print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shardstore.cli import commands as cli
from shardstore.wire.admin_messages import AdminReply, AdminRequest, PlannedChange, RangeRow
from shardstore.wire.messages import Refusal
from shardstore.wire.wire_format import Status
from tests.unit.fake_cluster import Refuse
from tests.unit.fake_server import FakeServer, serving

SPLIT = PlannedChange(7, "split", [2], [5, 6], b"m", 1, "asked for")
MOVE = PlannedChange(8, "move", [3], [7], b"", 0, "worker 1 carries 80 % of the load")
ROWS = [RangeRow(b"", b"m", 5, 1, 3, 1_234_567, 20, "active"), RangeRow(b"m", b"", 16, 0, 1, 0, 0, "changing")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    with serving(tmp_path) as server:
        yield server


def run(server: FakeServer, *arguments: str) -> Result:
    return CliRunner().invoke(cli.main, [*arguments, "--url", server.url])


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["split", "m"], AdminRequest("split", b"m")),
        (["split", "6d00", "--hex", "--dry-run"], AdminRequest("split", b"m\0", dry_run=True)),
        (["merge", "m", "--dry-run"], AdminRequest("merge", b"m", dry_run=True)),
        (["move", "m", "--to", "3"], AdminRequest("move", b"m", 3)),
        (["rebalance", "--dry-run"], AdminRequest("rebalance", dry_run=True)),
        (["ranges"], AdminRequest("ranges")),
        (["workers", "add", "--dry-run"], AdminRequest("add_worker", dry_run=True)),
        (["workers", "drain", "1"], AdminRequest("drain_worker", worker=1)),
    ],
)
def test_commands_ask_for_their_actions(server: FakeServer, arguments: list[str], asked: AdminRequest) -> None:
    result = run(server, *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [request for _, request in server.cluster.asked] == [asked]


def test_changes_are_one_line_each(server: FakeServer) -> None:
    server.cluster.admin.extend([AdminReply([SPLIT]), AdminReply([SPLIT, MOVE]), AdminReply()])
    assert run(server, "split", "m").output == "split 2 -> 5 + 6 at m, worker 1: asked for\n"
    assert run(server, "rebalance", "--dry-run", "--hex").output == (
        "would split 2 -> 5 + 6 at 6d, worker 1: asked for\n"
        "would move 3 -> 7, worker 0: worker 1 carries 80 % of the load\n"
    )
    assert run(server, "rebalance").output == "nothing to do\n"


def test_a_drain_says_that_the_worker_has_ended(server: FakeServer) -> None:
    server.cluster.admin.extend([AdminReply([MOVE]), AdminReply([]), AdminReply([])])
    assert run(server, "workers", "drain", "1").output == (
        "move 3 -> 7, worker 0: worker 1 carries 80 % of the load\nworker 1 has ended\n"
    )
    assert run(server, "workers", "drain", "1").output == "worker 1 has ended\n"
    assert run(server, "workers", "drain", "1", "--dry-run").output == "worker 1 would end\n"


def test_changes_as_json(server: FakeServer) -> None:
    server.cluster.admin.append(AdminReply([SPLIT]))
    assert json.loads(run(server, "split", "m", "--json", "--dry-run").output) == {
        "dry_run": True,
        "changes": [
            {
                "number": 7,
                "kind": "split",
                "parents": [2],
                "children": [5, 6],
                "at": "m",
                "worker": 1,
                "reason": "asked for",
            }
        ],
    }


def test_ranges_are_a_table(server: FakeServer) -> None:
    server.cluster.admin.append(AdminReply(ranges=ROWS))
    assert run(server, "ranges").output.splitlines() == [
        "start  end  segment  worker  epoch      bytes  ops/s  stage",
        "-      m          5       1      3  1,234,567     20  active",
        "m      -         16       0      1          0      0  changing",
    ]


def test_ranges_as_json(server: FakeServer) -> None:
    server.cluster.admin.append(AdminReply(ranges=ROWS))
    rows = json.loads(run(server, "ranges", "--json", "--hex").output)
    assert [(row["start"], row["end"], row["size_bytes"]) for row in rows] == [("", "6d", 1_234_567), ("6d", "", 0)]


def test_a_new_worker_is_named(server: FakeServer) -> None:
    server.cluster.admin.extend([AdminReply(worker=4), AdminReply(worker=4)])
    assert run(server, "workers", "add").output == "added worker 4\n"
    assert json.loads(run(server, "workers", "add", "--dry-run", "--json").output) == {"worker": 4, "dry_run": True}


def test_a_refusal_is_one_line(server: FakeServer) -> None:
    server.cluster.admin.append(Refuse(Status.INVALID, 0, Refusal("a range starts there already")))
    result = run(server, "split", "m")
    assert (result.exit_code, result.stderr) == (3, "Error: a range starts there already\n")


def test_a_move_says_where_to(server: FakeServer) -> None:
    assert run(server, "move", "m").exit_code == 2
    assert not server.cluster.asked
