"""Many encoded keys side by side, so that a column of their elements is read at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from shardstore.lazy_numpy import np

if TYPE_CHECKING:
    import numpy.typing as npt

Places: TypeAlias = "npt.NDArray[np.int64]"
EightBytes: TypeAlias = "npt.NDArray[np.uint64]"
Codes: TypeAlias = "npt.NDArray[np.uint8]"

CHUNK_KEYS = 1_024
"""So many keys are encoded or decoded at once: more would not stay in the processor's cache."""
COLUMNS_FROM = 16
"""Fewer keys are encoded and decoded faster one by one."""
_PADDING = bytes(24)
"""Behind the last key, so that a word can be read at every place."""

S = TypeVar("S")


class EncodedKeys:
    """Some encoded keys.

    Attributes:
        data: All keys, one behind the other, and some zero bytes.
        octets: The same for numpy.
        starts: Where each key starts in them.
        ends: Where each key ends.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self.data = b"".join([*keys, _PADDING])
        self.octets = np.frombuffer(self.data, dtype=np.uint8)
        lengths = np.fromiter(map(len, keys), dtype=np.int64, count=len(keys))
        self.ends: Places = lengths.cumsum()
        self.starts: Places = self.ends - lengths

    @cached_property
    def zeros(self) -> Places:
        """The places of all zero bytes, the padding included."""
        return np.flatnonzero(self.octets == 0)

    def codes(self, places: Places) -> Codes:
        """The bytes at these places."""
        return self.octets[places]

    def words(self, places: Places) -> EightBytes:
        """The eight bytes from each place on, as big-endian numbers."""
        overlapping: Any = np.ndarray((len(self.data) - 7,), ">u8", self.data, 0, (1,))
        words: EightBytes = overlapping[places].astype(np.uint64)
        return words

    def rows(self, places: Places, size: int) -> list[bytes]:
        """The `size` bytes from each place on."""
        overlapping: Any = np.ndarray((len(self.data) - size + 1,), f"V{size}", self.data, 0, (1,))
        rows: list[bytes] = overlapping[places].tolist()
        return rows


def in_chunks(items: Iterable[S]) -> Iterator[Sequence[S]]:
    """Cut items into chunks for one pass each."""
    sequence = items if isinstance(items, list | tuple) else list(items)
    return (sequence[first : first + CHUNK_KEYS] for first in range(0, len(sequence), CHUNK_KEYS))


def encoded_rows(code: int, words: EightBytes) -> list[bytes]:
    """Return elements of nine bytes: the code and a big-endian number."""
    rows = np.empty((len(words), 9), dtype=np.uint8)
    rows[:, 0] = code
    rows[:, 1:] = words.astype(">u8").view(np.uint8).reshape(-1, 8)
    elements: list[bytes] = rows.view("V9").ravel().tolist()
    return elements
