"""Version 2 of the board of a worker, word by word, and of the file that names it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from shardstore.identifiers import DirectoryIdentity
from shardstore.limits import BOARD_SLOTS
from shardstore.seams.boards import BoardMemory
from shardstore.system.board_files import KEEPS_ORDER, BoardFiles
from shardstore.wire.board_format import FILTER_BYTES, HEADER_WORDS, SLOT_WORDS, VERSION, filters_at, header
from shardstore.workers.board.range_slot import RangeSlot
from shardstore.workers.board.worker_board import WorkerBoard

GOLDEN = Path(__file__).parent / f"board-v{VERSION}.txt"
STORE = 0x0123456789ABCDEF
LITTLE = pytest.mark.skipif(sys.byteorder != "little", reason="a board has the byte order of its host")


def lines() -> dict[str, str]:
    return dict(line.split(" ", 1) for line in GOLDEN.read_text().splitlines())


def step_by_step() -> dict[str, bytes]:
    """The bytes of header and first slot after each step, and where the filter of the writes has bits."""
    words = memoryview(bytearray(filters_at(BOARD_SLOTS))).cast("Q")
    for at, word in enumerate(header(3, STORE, 7)):
        words[at] = word
    filters = memoryview(bytearray(FILTER_BYTES))
    board = WorkerBoard(BoardMemory(words, filters))
    first = words[: HEADER_WORDS + SLOT_WORDS]
    steps = {"new": first.tobytes()}
    slot = board.slot_of(42)
    assert isinstance(slot, RangeSlot)
    steps["given"] = first.tobytes()
    slot.open(5, 9, has_active=False, has_runs=True)
    steps["open"] = first.tobytes()
    slot.note([b"key", b"another key"])
    steps["noted"] = first.tobytes()
    steps["bits"] = b"".join(
        at.to_bytes(4, "little") + filters[at : at + 1] for at in range(FILTER_BYTES) if filters[at]
    )
    slot.drop(has_active=True, has_runs=False)
    slot.seal()
    slot.take_epoch(6)
    slot.take_version(10)
    steps["sealed"] = first.tobytes()
    board.show_clock(1_700_000_000_000)
    steps["clock"] = first.tobytes()
    board.free(42)
    steps["free"] = first.tobytes()
    return steps


@LITTLE
def test_each_step_leaves_the_words_of_the_golden_file() -> None:
    assert {name: content.hex() for name, content in step_by_step().items()} == lines()


@LITTLE
@pytest.mark.skipif(not KEEPS_ORDER, reason="there are no boards on this host")
def test_the_file_that_names_the_board_has_its_magic_incarnation_and_path(tmp_path: Path) -> None:
    (tmp_path / "workers/0003").mkdir(parents=True)
    found = tmp_path.stat()
    path = str(tmp_path / "board-3")
    files = BoardFiles(str(tmp_path), DirectoryIdentity(found.st_dev, found.st_ino), path)
    assert files.renew(3, STORE) is not None
    expected = b"shardPLC" + (1).to_bytes(8, "little") + path.encode()
    assert (tmp_path / "workers/0003/BOARD").read_bytes() == expected.ljust(4096, b"\0")
