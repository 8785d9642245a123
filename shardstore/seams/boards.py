"""Seam: the boards of the workers. Real form: system/board_files.py; simulated form: tests/simulation/sim_boards.py.

The content of a board is described in wire/board_format.py. Loads and stores of a word happen at once, and other
processes see the stores of one process in their order.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class BoardMemory(NamedTuple):
    """The memory of a board: as words of 64 bits, and its filters as bytes."""

    words: memoryview
    filters: memoryview


class OpenBoard(Protocol):
    """A board that this client has mapped."""

    memory: BoardMemory

    def is_current(self) -> bool:
        """Whether the process that made the board is still the latest one of its worker."""

    def is_found(self) -> bool:
        """Whether the store's files still lead to this board: they may have been replaced, by a copy for example."""


class Boards(Protocol):
    """The boards of one store on this host."""

    def renew(self, worker: int, store: int) -> BoardMemory | None:
        """End the board of the worker's former process, and make a new, empty one with a complete header.

        `store` is the tag of the store. Returns None if there is no memory for a board: clients then ask the worker.
        Raises StorageFailure if the former board could not be ended.
        """

    def open(self, worker: int, store: int) -> OpenBoard | None:
        """Map the current board of a worker; None if there is none, or if it is not for this client."""
