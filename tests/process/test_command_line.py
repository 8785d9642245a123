"""The installed commands against a real cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.process.clusters import served

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"


def shardstore(data: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "shardstore", *arguments, "--data", str(data)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=60, check=False)


def test_the_commands_use_the_cluster_of_the_directory(tmp_path: Path) -> None:
    with served(tmp_path, "--workers", "2"):
        assert shardstore(tmp_path, "put", "greeting", "hello").returncode == 0
        assert shardstore(tmp_path, "put", "raw", stdin=b"\x00\xff").returncode == 0
        assert shardstore(tmp_path, "get", "greeting").stdout == b"hello\n"
        assert shardstore(tmp_path, "scan", "--hex", "--prefix", b"raw".hex()).stdout == b"726177\t00ff\n"
        assert shardstore(tmp_path, "scan", "--mode", "fail_fast", "--keys-only").stdout == b"greeting\nraw\n"
        assert shardstore(tmp_path, "get", "nobody").returncode == 1
        assert shardstore(tmp_path, "flush").stdout == b"flushed\n"
        assert json.loads(shardstore(tmp_path, "stats", "--json").stdout).keys() == {"router", "0", "1"}
        table = shardstore(tmp_path, "memory").stdout.decode().splitlines()
        assert [line.split()[0] for line in table if not line.startswith(" ")] == ["store", "worker", "worker", "sum"]
        lease = json.loads(shardstore(tmp_path, "memory", "--json").stdout)["0"]["lease"]
        assert lease["used"] <= lease["allowed"]
    assert shardstore(tmp_path, "get", "greeting").returncode == 3


def test_the_demonstration_survives_its_killed_worker() -> None:
    program = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import cluster_console; cluster_console.main()"
    command = [sys.executable, "-c", program, "--demo", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "killed worker-0" in done.stdout
    assert "every file is the same, byte for byte" in done.stdout
