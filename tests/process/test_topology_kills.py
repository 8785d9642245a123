"""No acknowledged write is lost or applied twice when processes are killed during changes.

The long form: `python -m tests.measuring.topology_kills --seconds 300`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process import chaos

pytestmark = pytest.mark.slow

SECONDS = 8
MERGED_OVER = "its client has written later"
"""A write overtaken by one to the other parent of a merge: whether it was applied cannot be determined."""


@pytest.mark.fault("C2", "R1", "H1", "H4")
@pytest.mark.parametrize("direct", [True, False])
def test_changes_under_writers_survive_kill_9_of_router_source_and_target(tmp_path: Path, direct: bool) -> None:
    figures = chaos.run(tmp_path, seed=1, seconds=SECONDS, killed_min=4, direct=direct)
    assert figures.changes["move"]
    assert figures.acknowledged > 1_000
    assert all(MERGED_OVER in told for told in figures.unserved), figures.unserved
