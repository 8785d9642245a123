"""Keys of several lengths as the rows of an array, so that they are cut and compared without a step for each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Self

import numpy as np

from shardstore.tables.bloom import Mask
from shardstore.tables.table_format import FixedItems, Integers

PADDED_BYTES_MAX = 256
"""Longer keys are compared one by one."""


class PaddedKeys:
    """Keys with zero bytes behind them up to the length of a row.

    `lengths` are those of the keys. Of a key that is longer than a row, only the beginning is there.
    """

    __slots__ = ("lengths", "rows")

    def __init__(self, rows: FixedItems, lengths: Integers) -> None:
        self.rows = rows
        self.lengths = lengths

    @classmethod
    def of(cls, keys: Sequence[bytes]) -> Self | None:
        """Return these keys; None if one of them is too long."""
        lengths: Integers = np.fromiter(map(len, keys), np.int64, len(keys))
        width = int(lengths.max(initial=1))
        if width > PADDED_BYTES_MAX:
            return None
        return cls(np.array(keys, f"S{width}").view(f"V{width}"), lengths)

    @classmethod
    def begun_by(cls, rows: FixedItems, lengths: Integers) -> Self:
        """Return the keys of these lengths with which the rows begin, whatever follows them there."""
        content = rows.view(np.uint8).reshape(len(rows), rows.itemsize)
        content *= np.arange(rows.itemsize) < lengths[:, None]
        return cls(rows, lengths)

    @property
    def width(self) -> int:
        """The length of a row."""
        return self.rows.itemsize

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, places: slice | Integers) -> PaddedKeys:
        return PaddedKeys(self.rows[places], self.lengths[places])

    def tolist(self) -> list[bytes]:
        """Return the keys, of which none is longer than a row."""
        without_zeros = self.rows.view(f"S{self.width}").tolist()
        return list(map(bytes.ljust, without_zeros, self.lengths.tolist(), repeat(b"\0")))

    def are(self, others: PaddedKeys) -> Mask | None:
        """Return for each key whether it is the other one, in rows of the same length; None: all are."""
        if self.lengths.tobytes() == others.lengths.tobytes() and self.rows.tobytes() == others.rows.tobytes():
            return None
        ours, theirs = (keys.rows.view(np.uint8).reshape(len(self), self.width) for keys in (self, others))
        same: Mask = (self.lengths == others.lengths) & (ours == theirs).all(axis=1)
        return same
