"""The boards seam of a reader, with each word and each byte as a load of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shardstore.seams.boards import BoardMemory
from shardstore.wire.board_format import FILTER_BYTES, header
from tests.interleavings.history import Place
from tests.interleavings.loads import Loads
from tests.interleavings.recorded_boards import FILTERS_MAX, WORDS


class _Lazy:
    """A part of a board, which is loaded item by item when it is used."""

    def __init__(self, memory: _Memory, places: range) -> None:
        self._memory = memory
        self._places = places

    def tolist(self) -> list[int]:
        """Load all of it, in order."""
        return [self._memory[at] for at in self._places]

    def __getitem__(self, at: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
        """Load some of it, as numpy does."""
        return np.array([self._memory[self._places[int(each)]] for each in at], dtype=np.uint8)


class _Memory:
    """The words or the bytes of a board, mapped by a reader."""

    def __init__(self, loads: Loads, place: Place, size: int) -> None:
        self._loads = loads
        self._place = place
        self._all = range(size)

    def __getitem__(self, at: Any) -> Any:
        return _Lazy(self, self._all[at]) if isinstance(at, slice) else self._loads.load((*self._place, at), 0)


class NumpyOfReader:
    """numpy as the module of ReadableRange uses it: arrays of a board load its bytes when these are used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def frombuffer(self, memory: _Lazy, dtype: type[np.uint8]) -> _Lazy:
        """The bytes of a filter."""
        assert dtype is np.uint8
        return memory


class ReadBoard:
    """A board that a reader has mapped."""

    def __init__(self, loads: Loads, worker: int, incarnation: int) -> None:
        board = worker, incarnation
        self.incarnation = incarnation
        self.memory: Any = BoardMemory(
            _Memory(loads, ("word", *board), WORDS),  # type: ignore[arg-type]
            _Memory(loads, ("byte", *board), FILTERS_MAX * FILTER_BYTES),  # type: ignore[arg-type]
        )
        self._loads = loads
        self._worker = worker

    def is_current(self) -> bool:
        """Whether no later process of the worker has begun."""
        return bool(self._loads.load(("incarnation", self._worker)) == self.incarnation)


class ReadBoards:
    """The boards seam of a reader, in the steps of system/board_files.py."""

    def __init__(self, loads: Loads) -> None:
        self._loads = loads

    def open(self, worker: int, store: int) -> ReadBoard | None:
        """Map the current board."""
        incarnation = self._loads.load(("incarnation", worker))
        mapped = self._loads.load(("board", worker))
        if mapped is None:
            return None
        found = ReadBoard(self._loads, worker, mapped)
        expected = header(worker, store, incarnation)
        if found.memory.words[: len(expected)].tolist() != expected:
            return None
        return found
