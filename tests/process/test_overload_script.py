"""A short run of the overload benchmark: figures of every process, and checked bounds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"


def test_a_moment_of_overload(tmp_path: Path) -> None:
    program = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); from benchmarks.overload import main; main()"
    options = ["--seconds", "2", "--writers", "2", "--memory", "192MiB", "--data", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", program, *options], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert report["goodput_mib_per_second"] > 0
    assert report["holds"]["memory"]
    assert set(report["own_mib"]) >= {"router", "worker-0", "worker-1", "worker-0 maintenance"}
    assert not list(tmp_path.iterdir())
