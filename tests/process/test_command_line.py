"""The installed commands against a real cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shardstore.system.running_cluster import last_announced
from tests.process.clusters import MEMORY, served
from tests.process.deadlines import wait_until

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"


def shardstore(data: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "shardstore", *arguments, "--data", str(data)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=60, check=False)


@pytest.mark.slow
def test_the_commands_use_the_cluster_of_the_directory(tmp_path: Path) -> None:
    with served(tmp_path, "--workers", "2", "--ranges", "8"):
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
        check_status(tmp_path, 0, b"serves: 2 workers, 8 ranges\n")
        check_streams(tmp_path)
    assert shardstore(tmp_path, "get", "greeting").returncode == 3
    check_status(tmp_path, 2, f"down: no cluster is running on {tmp_path}: start one with".encode())


def check_status(data: Path, code: int, line: bytes) -> None:
    said = shardstore(data, "status")
    assert (said.returncode, said.stderr, said.stdout.count(b"\n")) == (code, b"", 1)
    assert said.stdout.startswith(line)


def check_streams(data: Path) -> None:
    """Streams that are closed, closed early, or full; a locale with only ASCII."""

    def in_shell(words: str, **variables: str) -> tuple[int, bytes, bytes]:
        command = f"{sys.executable} -m shardstore {words}".replace("DATA", f"--data '{data}'")
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, env=os.environ | variables, timeout=60, check=False
        )
        return done.returncode, done.stdout, done.stderr

    assert shardstore(data, "put", "größe", "wert").returncode == 0
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert in_shell("scan DATA --prefix gr --limit 1 --start grö", **ascii_only) == (0, "größe\twert\n".encode(), b"")
    assert shardstore(data, "put", "large", stdin=bytes(2_000_000)).returncode == 0
    assert in_shell("scan DATA | head -c 1; exit ${PIPESTATUS[0]}") == (141, b"g", b"")
    assert in_shell("--help | true; exit ${PIPESTATUS[0]}") == (141, b"", b"")
    for words, code in (("get nobody DATA", 1), ("get", 2), ("get '' DATA", 3)):
        assert in_shell(f"{words} 2>/dev/full") == (code, b"", b""), "the code alone can say it"
    code, _, complaint = in_shell("put closed DATA <&-")
    assert (code, complaint) == (
        3,
        b"Error: there is no VALUE, and the standard input, from which it would be taken, is closed\n",
    )
    for output, reason in (
        ("/dev/full", b"Error: the answer cannot be written to the standard output: No space left on device\n"),
        ("&-", b"Error: the answer cannot be written: the standard output is closed\n"),
    ):
        helped = ("--help", "get --help", "workers add --help", "--version")
        for words in ("get greeting DATA", "scan DATA", "status DATA", f"inspect '{data}/STORE'", *helped):
            code, _, complaint = in_shell(f"{words} >{output}")
            assert (code, complaint) == (3, reason)


def test_a_store_is_served_without_a_standard_output(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "shardstore", "serve", "--data", str(tmp_path), "--memory", MEMORY]
    closed = ["bash", "-c", 'exec "$@" <&- >&-', "serve", *command]
    with subprocess.Popen(closed, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: last_announced(tmp_path) is not None or process.poll() is not None, "readiness", 60)
            assert shardstore(tmp_path, "put", "k", "v").returncode == 0
        finally:
            process.terminate()
            log = process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert "(the answer cannot be written: the standard output is closed)" in log


@pytest.mark.slow
def test_the_commands_of_an_operator_change_ranges_and_workers(tmp_path: Path) -> None:
    def ask(*arguments: str) -> Any:
        done = shardstore(tmp_path, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def owners() -> list[tuple[str, int]]:
        return [(row["start"], row["worker"]) for row in ask("ranges")]

    with served(tmp_path, "--workers", "2", "--ranges", "1", "--no-auto-topology"):
        assert shardstore(tmp_path, "put", "greeting", "hello").returncode == 0
        assert ask("split", "m", "--dry-run")["changes"][0]["at"] == "m"
        assert owners() == [("", 0)]
        assert shardstore(tmp_path, "split", "m").stdout == b"split 1 -> 2 + 3 at m, worker 0: asked for\n"
        refused = shardstore(tmp_path, "split", "m")
        assert (refused.returncode, refused.stderr) == (3, b"Error: a range already starts at this key\n")
        refused = shardstore(tmp_path, "move", "m", "--to", "7")
        assert (refused.returncode, refused.stderr) == (3, b"Error: there is no worker 7\n")
        [moved] = ask("move", "greeting", "--to", "1")["changes"]
        assert (moved["kind"], moved["parents"], moved["worker"]) == ("move", [2], 1)
        assert owners() == [("", 1), ("m", 0)]
        assert shardstore(tmp_path, "rebalance", "--dry-run").stdout == b"nothing to do\n"
        assert ask("rebalance") == {"dry_run": False, "changes": []}
        assert ask("merge", "greeting")["changes"][0]["kind"] == "merge"
        table = shardstore(tmp_path, "ranges").stdout.decode().splitlines()
        assert [line.split()[0] for line in table] == ["start", "-"]
        assert ask("workers", "add", "--dry-run") == {"worker": 2, "dry_run": True}
        assert shardstore(tmp_path, "workers", "add").stdout == b"added worker 2\n"
        assert [change["worker"] for change in ask("workers", "drain", "1", "--dry-run")["changes"]] != [1]
        assert [change["reason"] for change in ask("workers", "drain", "1")["changes"]] == ["worker 1 leaves"]
        refused = shardstore(tmp_path, "workers", "drain", "1")
        assert (refused.returncode, refused.stderr) == (3, b"Error: there is no worker 1\n")
        assert shardstore(tmp_path, "get", "greeting").stdout == b"hello\n"


@pytest.mark.slow
def test_the_demonstration_survives_its_killed_worker() -> None:
    program = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import cluster_console; cluster_console.main()"
    command = [sys.executable, "-c", program, "--demo", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "killed worker-0" in done.stdout
    assert "all files are the same, byte for byte" in done.stdout
