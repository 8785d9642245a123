"""Runs the programs and commands of the README unchanged."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from shardstore import LocalCluster
from shardstore.wire.admin_messages import RangeRow
from tests.process.clusters import MEMORY, served
from tests.process.test_command_line import shardstore

README = (Path(__file__).parent.parent.parent / "README.md").read_text()


def code(section: str, language: str) -> str:
    """The only code block in this language below a heading."""
    [text] = re.findall(rf"^## {section}\n(.*?)(?=^## )", README, re.DOTALL | re.MULTILINE)
    [found] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(found)


def test_the_first_program_runs(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(code("A first program", "python"))
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "b'user:1' b'...'"
    assert len(done.stdout.splitlines()) == 10


def test_spaces_are_used_as_shown(tmp_path: Path) -> None:
    with LocalCluster(tmp_path, workers=1, memory=MEMORY) as cluster, cluster.connect() as db:
        shown: list[tuple[object, ...]] = []
        exec(code("Spaces", "py"), {"db": db, "print": lambda *what: shown.append(what)})
        assert shown == [(28, 28), (29, 29)]
        assert len(db.space("visits")) == 28


@pytest.mark.slow
def test_ranges_and_workers_change_as_shown(tmp_path: Path) -> None:
    with LocalCluster(tmp_path, workers=2, memory=MEMORY) as cluster, cluster.connect() as db:
        db.put_many({b"user:%d" % number: b"..." for number in range(1_000)})
        rows: list[RangeRow] = []
        exec(code("Ranges and workers", "py"), {"db": db, "print": rows.append})
        assert {row.worker for row in rows} in ({1}, {2}, {1, 2}), "worker 0 has left"
        assert len(list(db.scan())) == 1_000


@pytest.mark.slow
def test_the_commands_for_ranges_and_workers_succeed(tmp_path: Path) -> None:
    with served(tmp_path, "--workers", "2"):
        for line in code("Ranges and workers", "sh").splitlines():
            program, *arguments = line.split()
            assert program == ".venv/bin/shardstore"
            done = shardstore(tmp_path, *arguments)
            assert (done.returncode, done.stderr) == (0, b""), line
