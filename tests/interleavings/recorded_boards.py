"""The boards seam as workers use it, with each store recorded as a step of a history.

The bytes of filters are plain memory, as numpy changes them too. Those that have changed are stored one by one before
the next step of the process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from shardstore.seams.boards import BoardMemory
from shardstore.wire.board_format import FILTER_BYTES, HEADER_WORDS, SLOT_WORDS, header
from tests.interleavings.history import History

SLOTS = 2
FILTERS = 1
"""So few that they are used again at once."""
FILTERS_MAX = 2
WORDS = HEADER_WORDS + SLOTS * SLOT_WORDS


class RecordedWords:
    """The words of a board in the process that stores them."""

    def __init__(self, history: History, board: tuple[int, int]) -> None:
        self._history = history
        self._board = board
        self._words = [0] * WORDS

    def __getitem__(self, at: int) -> int:
        return self._words[at]

    def __setitem__(self, at: int, word: int) -> None:
        self._history.store(("word", *self._board, at), word, 0)
        self._words[at] = word


class RecordedBoards:
    """The boards of all workers. A board is named by its worker and its incarnation."""

    def __init__(self, history: History, filters: int = FILTERS) -> None:
        self._history = history
        self._filters = filters
        self._watches: dict[int, Callable[[], None]] = {}
        self._noting = False
        history.note_bytes = self._note_bytes

    def renew(self, worker: int, store: int) -> BoardMemory:
        """End the former board, and make a new one, in the steps of system/board_files.py."""
        history = self._history
        self._watches.pop(worker, None)
        incarnation = history.latest(("incarnation", worker), 0) + 1
        history.store(("incarnation", worker), incarnation)
        history.store(("board", worker), None)
        history.store(("board", worker), incarnation)
        words = RecordedWords(history, (worker, incarnation))
        for at, word in enumerate(header(worker, store, incarnation)):
            words[at] = word
        filters = bytearray(self._filters * FILTER_BYTES)
        self._watches[worker] = _watch(history, (worker, incarnation), filters)
        return BoardMemory(cast(Any, words), memoryview(filters))

    def open(self, worker: int, store: int) -> None:
        """Workers read no boards."""
        raise AssertionError

    def _note_bytes(self) -> None:
        if not self._noting:  # another process may do a step between two bytes
            self._noting = True
            try:
                for watch in self._watches.values():
                    watch()
            finally:
                self._noting = False


def _watch(history: History, board: tuple[int, int], filters: bytearray) -> Callable[[], None]:
    """Return what stores the bytes that have changed since it was last called."""
    seen = bytearray(filters)

    def note() -> None:
        if seen == filters:
            return
        changed = np.flatnonzero(np.frombuffer(seen, np.uint8) != np.frombuffer(filters, np.uint8)).tolist()
        for at in changed:
            history.store_alone(("byte", *board, at), filters[at], 0)
            seen[at] = filters[at]

    return note
