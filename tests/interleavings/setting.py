"""What the tests of this folder replace in the product, and how they run a case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pytest

from shardstore.client.direct import open_files, readable_range, slots
from shardstore.tables.manifest import read_manifest
from shardstore.workers.board import worker_board
from shardstore.workers.jobs import cleared_tables
from tests.interleavings.direct_client import DirectClient
from tests.interleavings.exploration import Choices, explore
from tests.interleavings.history import History
from tests.interleavings.read_boards import NumpyOfReader
from tests.interleavings.read_segment import ReadSegment, RealSegment, known_manifest
from tests.interleavings.recorded_boards import SLOTS

Read = Callable[[DirectClient], None]


@dataclass
class Explored:
    """What was explored: numbers of histories, of steps of the longest, of runs, and of reads of the two kinds."""

    histories: int = 0
    steps: int = 0
    runs: int = 0
    direct: int = 0
    asked: int = 0


def prepare(patch: pytest.MonkeyPatch, board_slots: int = SLOTS, has_real_segments: bool = False) -> None:
    """Make boards small, let a reader look for a board at each read, and count numpy's loads from boards."""
    patch.setattr(worker_board, "BOARD_SLOTS", board_slots)
    patch.setattr(slots, "LOOKS_BETWEEN", 0)
    patch.setattr(cleared_tables, "CUT_ENTRIES_MIN", 1)
    patch.setattr(readable_range, "np", NumpyOfReader())
    patch.setattr(open_files, "Segment", RealSegment if has_real_segments else ReadSegment)
    patch.setattr(open_files, "read_manifest", read_manifest if has_real_segments else known_manifest)


def read_all_ways(histories: Iterable[History], reads: Sequence[Read], explored: Explored) -> None:
    """Run the reads, one after the other, against each history in every order. Raises Stale."""
    for history in histories:
        explored.histories += 1
        explored.steps = max(explored.steps, history.steps)

        def run(choices: Choices, history: History = history) -> None:
            client = DirectClient(history, choices)
            explored.runs += 1
            for number, read in enumerate(reads):
                if number:
                    client.meet()
                read(client)
            explored.direct += client.direct
            explored.asked += client.asked

        explore(run)
