"""Peers: other stores that do the same work as shardstore.

Each peer is used as its users would use it from Python: through its own package, with its own batches, and with the
settings that PEERS names. It is measured in a separate process, so that the caller does not affect it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.catalogue import PEERS, PeerInfo, installed, missing
from benchmarks.peers.runner import WORK
from benchmarks.timing import Figures

__all__ = ["PEERS", "WORK", "PeerFailed", "PeerInfo", "installed", "measure", "missing"]

SCRIPTS = Path(__file__).parent.parent.parent


class PeerFailed(Exception):
    """A peer failed or returned wrong data, so there are no figures."""


def measure(
    peer_name: str, shape_name: str, count: int, work: Sequence[str], data_dir: str | None, runs: int
) -> dict[str, Figures]:
    """Measure each item of `work`, a subset of WORK, on `count` records of a shape; returns medians of `runs` runs.

    Stores are made below `data_dir` or in the temporary directory. Raises PeerFailed.
    """
    if data_dir is not None:
        os.makedirs(data_dir, exist_ok=True)
    # The server of a killed child ends a moment later, and may still write while the directory is removed.
    with tempfile.TemporaryDirectory(prefix="shardstore-peer-", dir=data_dir, ignore_cleanup_errors=True) as directory:
        arguments = [peer_name, shape_name, str(count), str(runs), os.path.abspath(directory), *work]
        answer = _answer_of_child([sys.executable, "-m", "benchmarks.peers", *arguments])
    if "failure" in answer:
        raise PeerFailed(f"{peer_name}: {answer['failure']}")
    figures: dict[str, Figures] = answer["figures"]
    return figures


def _answer_of_child(command: Sequence[str]) -> dict[str, dict[str, Figures]]:
    """Run a child process and return the JSON it prints. It is killed on an interrupt, and ends if its parent dies."""
    search_path = os.pathsep.join(filter(None, (str(SCRIPTS), os.environ.get("PYTHONPATH"))))
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": search_path}
    )
    assert child.stdout is not None
    try:
        printed = child.stdout.read()
        child.wait()
    finally:
        child.kill()
        child.communicate()
    if child.returncode != 0:
        raise PeerFailed(f"{command[3]}: the process that measures it ended with exit code {child.returncode}")
    answer: dict[str, dict[str, Figures]] = json.loads(printed)
    return answer
