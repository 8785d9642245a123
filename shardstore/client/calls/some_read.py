"""The values of a batch of keys of which some were read, and the others are asked of workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from shardstore.lazy_numpy import np

if TYPE_CHECKING:
    import numpy.typing as npt


class SomeRead(NamedTuple):
    """The values in the order of the keys, None for a key without one. `read` says for which keys they are right.

    `flags`: those of the requests for the other keys.
    """

    values: list[bytes | None]
    read: npt.NDArray[np.bool_]
    flags: int = 0

    def rest(self, keys: Sequence[bytes]) -> list[bytes]:
        """Return the keys that were not read, out of all keys of the batch."""
        return list(map(keys.__getitem__, self._rest.tolist()))

    def with_rest(self, values: Sequence[bytes | None]) -> list[bytes | None]:
        """Return all values, given those of the keys that were not read."""
        deque(map(self.values.__setitem__, self._rest.tolist(), values), maxlen=0)
        return self.values

    @property
    def _rest(self) -> npt.NDArray[np.intp]:
        return np.flatnonzero(~self.read)
