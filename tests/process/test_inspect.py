"""The command `inspect`, on copies of the files of a real store."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.clusters import served
from tests.process.test_command_line import shardstore


def inspect(file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shardstore", "inspect", str(file), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


BOARD = "place of a board"


@pytest.mark.slow
def test_files_of_a_store(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with served(data, "--workers", "1", "--ranges", "1"):
        shardstore(data, "put", "greeting", "hello")
        shardstore(data, "flush")
        shardstore(data, "put", "later", "there")
    files = [file for file in data.rglob("*") if file.is_file() and not file.name.endswith(("LOCK", "ENDPOINT"))]
    kinds = {}
    for number, file in enumerate(files):
        copy = Path(shutil.copy(file, tmp_path / f"copy {number}"))
        done = inspect(copy, "--json")
        assert (done.returncode, done.stderr) == (0, ""), file
        kinds[json.loads(done.stdout)["kind"]] = copy
    assert kinds.keys() == {"store", "route map", "log document", "manifest", "log file", "table file", BOARD}
    shown = inspect(kinds["table file"]).stdout
    assert "greeting  hello" in shown
    assert "later" not in shown
    assert "greeting" not in inspect(kinds["table file"], "--hex", "--entries", "0").stdout

    kinds["table file"].write_bytes(kinds["table file"].read_bytes()[:-1])
    done = inspect(kinds["table file"])
    assert done.returncode == 3
    assert f"DAMAGE  {kinds['table file']} at byte " in done.stdout
    assert inspect(tmp_path / "no such file").returncode == 2
