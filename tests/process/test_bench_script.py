"""The benchmarks end to end: every workload with a few records, without bounds on time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.command import main
from benchmarks.workloads import BY_SHAPE, NAMES, OF_ONE_SHAPE, descriptions
from click.testing import CliRunner

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"
BESIDE_ITSELF = ("get_absent", "scan_reverse")
COSTS_OF_CHANGES = ("split_stall", "change_wait", "move_1gib")
GAINS_OF_CHANGES = ("two_workers", "self_split", "cold_p99")
MANY_CLIENTS = ("ycsb_b", "get_many_processes")
TWINS = ("ycsb_a", "ycsb_c", "put_synced")
"""Not run: they differ from ycsb_b by the mix of operations, or from put by the durability."""
ALONE = ("replay", *COSTS_OF_CHANGES, *GAINS_OF_CHANGES, *MANY_CLIENTS, *TWINS)
OTHERS = tuple(name for name in OF_ONE_SHAPE if name not in ALONE)
PNG = b"\x89PNG\r\n\x1a\n"


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); from benchmarks.command import main; main()"
    command = [sys.executable, "-c", program, "--quick", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("names", [("replay",), COSTS_OF_CHANGES, GAINS_OF_CHANGES, MANY_CLIENTS, OTHERS])
def test_the_workloads_of_one_shape(names: tuple[str, ...], tmp_path: Path) -> None:
    done = bench(*names, "--json", "--data", str(tmp_path))
    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads(done.stdout)
    assert list(dict.fromkeys(row["workload"] for row in report["rows"])) == list(names)
    assert all(max(row["figures"].values()) > 0 for row in report["rows"])
    assert all(row["comparisons"] for row in report["rows"] if row["shape"] == "hex")
    assert {"cpu", "cores", "kernel", "python", "pyzmq", "date", "fdatasync_p50_us_before"} <= report["machine"].keys()
    assert report["machine"]["disk_write_mb_per_s"] > 0 < report["machine"]["memory_copy_mb_per_s"]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_batches_beside_a_peer(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    picture = tmp_path / "bench.png"
    options = ("--shape", "variable-4k", "--peers", "sqlite", "--json", str(file), "--plot", str(picture))
    done = bench(*BY_SHAPE, *options)
    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads(file.read_text())
    assert list(dict.fromkeys(row["workload"] for row in report["rows"])) == list(BY_SHAPE)
    assert {row["shape"] for row in report["rows"]} == {"variable-4k"}
    timed = [row for row in report["rows"] if row["workload"] not in ("memory", "disk")]
    assert all(row["peers"]["sqlite"]["per_second"] > 0 for row in timed if row["workload"] not in BESIDE_ITSELF)
    assert all(row["figures"]["worker_cpu_s_per_million"] >= 0 for row in timed)
    assert all(row["peers"]["sqlite"]["client_cpu_s_per_million"] >= 0 for row in timed if "sqlite" in row["peers"])
    overlaid = {row["workload"]: row["figures"].get("overlay_share") for row in timed}
    assert overlaid["get_many_tables"] == 0.0 <= overlaid["get_many"] <= 1.0
    assert picture.read_bytes().startswith(PNG)
    assert "sqlite (best peer)" in done.stdout
    assert "get_many_tables" in done.stdout
    assert "server s/M" in done.stdout


def test_the_help_describes_every_workload() -> None:
    shown = " ".join(CliRunner().invoke(main, ["--help"]).output.split())
    described = descriptions()
    assert list(described) == list(NAMES)
    assert all(text.endswith((".", ":")) for text in described.values())
    assert all(f"{name} {text}" in shown for name, text in described.items())


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    for arguments, words in (
        (["get", "--data", str(nowhere)], "nowhere' does not exist."),
        (["get", "--data", __file__], "test_bench_script.py' is a file."),
        (["get_most"], "unknown workload get_most"),
        (["--peers", "oracle"], "peer oracle is not available"),
        (["--json", "get"], "--json takes get as its file"),
    ):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 2
        assert words in done.output
    assert not nowhere.exists()
