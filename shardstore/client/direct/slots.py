"""Finds the slot of a range on the board of its worker."""

from __future__ import annotations

from dataclasses import dataclass, field

from shardstore.identifiers import tag_of_store
from shardstore.seams.boards import Boards, OpenBoard
from shardstore.wire.board_format import HEADER_WORDS, MOVES_AT, SEGMENT, SLOT_WORDS, slot_at

LOOKS_BETWEEN = 256
"""So many reads of a worker's ranges find no board before it is looked for again: that takes system calls."""


@dataclass(slots=True)
class _Board:
    """What is known of the board of a worker. `moves`: the number of moves at which `slots` were read."""

    open: OpenBoard | None = None
    looks_left: int = 0
    moves: int = -1
    slots: dict[int, int] = field(default_factory=dict)


class Slots:
    """The boards of a store's workers, each opened on first use."""

    def __init__(self, boards: Boards, store: str) -> None:
        self._boards = boards
        self._tag = tag_of_store(store)
        self._of_workers: dict[int, _Board] = {}

    def find(self, worker: int, segment: int) -> tuple[OpenBoard, int] | None:
        """Return the board of a worker, and the number of the first word of a segment's slot; None if it has none."""
        board = self._of_workers.setdefault(worker, _Board())
        if board.open is None or not board.open.is_current():
            board.open = self._look(worker, board)
        if board.open is None:
            return None
        words = board.open.memory.words
        moves = words[MOVES_AT]
        if moves != board.moves:
            segments = words[HEADER_WORDS + SEGMENT :: SLOT_WORDS].tolist()
            board.slots = {of_slot: slot_at(slot) for slot, of_slot in enumerate(segments) if of_slot}
            board.moves = moves
        at = board.slots.get(segment)
        return None if at is None else (board.open, at)

    def close_lost(self) -> None:
        """Let go of the boards to which the store's files do not lead any more."""
        for board in self._of_workers.values():
            if board.open is not None and not board.open.is_found():
                board.open = None

    def has(self, board: OpenBoard) -> bool:
        """Whether this board is open here."""
        return any(each.open is board for each in self._of_workers.values())

    def _look(self, worker: int, board: _Board) -> OpenBoard | None:
        """Look for the current board, unless that was done a few reads ago."""
        board.moves = -1
        if board.looks_left:
            board.looks_left -= 1
            return None
        found = self._boards.open(worker, self._tag)
        board.looks_left = 0 if found is not None else LOOKS_BETWEEN
        return found
