"""The values of a batch of keys of which some were read, and the others are asked of workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from shardstore.lazy_numpy import np

if TYPE_CHECKING:
    import numpy.typing as npt


class SomeRead(NamedTuple):
    """The values in the order of the keys, None for a key without one. `read` says for which keys they are right.

    `flags`: those of the requests for the other keys.
    """

    values: npt.NDArray[np.object_]
    read: npt.NDArray[np.bool_]
    flags: int = 0

    def put(self, positions: npt.NDArray[np.intp], values: npt.NDArray[np.object_]) -> None:
        """Note the values of the keys at these positions."""
        self.values[positions] = values
        self.read[positions] = True

    def rest(self, keys: Sequence[bytes]) -> list[bytes]:
        """Return the keys that were not read, out of all keys of the batch."""
        return list(map(keys.__getitem__, self._rest.tolist()))

    def with_rest(self, values: Sequence[bytes | None]) -> list[bytes | None]:
        """Return all values, given those of the keys that were not read."""
        self.values[self._rest] = np.fromiter(values, object, len(values))
        return self.values.tolist()  # type: ignore[no-any-return]

    @property
    def _rest(self) -> npt.NDArray[np.intp]:
        return np.flatnonzero(~self.read)
