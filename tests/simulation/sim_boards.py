"""The boards seam in the memory of one process: words and filters as the format says, but with few filters."""

from __future__ import annotations

from dataclasses import dataclass, field

from shardstore.limits import BOARD_SLOTS
from shardstore.seams.boards import BoardMemory
from shardstore.wire.board_format import FILTER_BYTES, filters_at, header

FILTERS = 3
"""So few that ranges have to do without one."""


@dataclass(slots=True)
class SimBoard:
    """A board of one process of a worker. The boards say whether it is the current one."""

    memory: BoardMemory
    incarnation: int
    boards: SimBoards
    worker: int

    def is_current(self) -> bool:
        """Whether no later process of the worker has begun."""
        return self.boards.incarnations[self.worker] == self.incarnation

    def is_found(self) -> bool:
        """Nobody replaces files here."""
        return True


@dataclass(slots=True)
class SimBoards:
    """The boards of all workers."""

    incarnations: dict[int, int] = field(default_factory=dict)
    current: dict[int, SimBoard] = field(default_factory=dict)

    def renew(self, worker: int, store: int) -> BoardMemory:
        """End the former board, and make a new one."""
        incarnation = self.incarnations[worker] = self.incarnations.get(worker, 0) + 1
        words = memoryview(bytearray(filters_at(BOARD_SLOTS))).cast("Q")
        for at, word in enumerate(header(worker, store, incarnation)):
            words[at] = word
        memory = BoardMemory(words, memoryview(bytearray(FILTERS * FILTER_BYTES)))
        self.current[worker] = SimBoard(memory, incarnation, self, worker)
        return memory

    def open(self, worker: int, store: int) -> SimBoard | None:
        """The current board."""
        return self.current.get(worker)

    def lose_power(self) -> None:
        """Lose all boards. Nobody has one mapped then."""
        self.current.clear()
