"""A seed gives the same history in every process."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = (
    "from tests.simulation.world import simulate\n"
    "print(*[simulate(seed).host.trace.digest() for seed in (3, 14, 33, 53)])\n"
)


@pytest.mark.slow
def test_the_trace_does_not_depend_on_the_hash_seed() -> None:
    traces = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            text=True,
            timeout=120,
        ).stdout.split()
        for hash_seed in ("0", "1234")
    ]
    assert traces[0] == traces[1]
    assert len(set(traces[0])) == len(traces[0])
