"""Cut a batch by range: for each route that owns some of its keys, the frames of one request.

Keys of one length are routed by their first 8 bytes as integers, in one numpy search; where that cannot decide
(a boundary is longer than 8 bytes or than the keys, and a key agrees with its first 8 bytes), by bisecting the
starts. Keys of mixed lengths are routed by as many bytes as the longest boundary has, in the same way. Sorting by route
is stable, so pairs of one key keep their order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from shardstore.client.calls.arguments import Items
from shardstore.lazy_numpy import np
from shardstore.wire import columns
from shardstore.wire.columns import PREFIX_BYTES, Column, Prefixes
from shardstore.wire.wire_format import Flag

if TYPE_CHECKING:
    import numpy.typing as npt

Positions: TypeAlias = "npt.NDArray[np.intp]"
Owners: TypeAlias = "npt.NDArray[np.uint16]"
ROW_BYTES_MAX = 16


class Boundaries:
    """The starts of all ranges but the first, made ready for cutting."""

    def __init__(self, starts: Sequence[bytes]) -> None:
        self.starts = starts[1:]
        self._longest = max(map(len, self.starts), default=0)

    @cached_property
    def prefixes(self) -> Prefixes:
        """Their first 8 bytes as integers."""
        return np.array([columns.prefix_of(start) for start in self.starts], dtype=np.uint64)

    @cached_property
    def _rows(self) -> npt.NDArray[np.bytes_]:
        return np.array(self.starts, dtype=self._row_type)

    @property
    def _row_type(self) -> str:
        return f"S{min(self._longest, ROW_BYTES_MAX) or 1}"

    def owners_of(self, keys: Sequence[bytes]) -> tuple[Owners, Positions]:
        """The route of each key, and where that is wrong unless bisected: where a key equals a boundary's beginning.

        Numpy compares rows without the zero bytes at their ends, so such keys equal each other too.
        """
        rows = np.array(keys, dtype=self._row_type)
        owners = np.searchsorted(self._rows, rows, side="right")
        return owners.astype(np.uint16), np.flatnonzero(owners != np.searchsorted(self._rows, rows, side="left"))

    def decided_by_prefixes(self, key_bytes: int) -> bool:
        """Whether a key of this length that agrees with a boundary's prefix always lies behind the boundary."""
        return self._longest <= min(key_bytes, PREFIX_BYTES)


class Piece(NamedTuple):
    """What of a batch belongs to one route, as a request carries it: frames and their layout flags.

    `body` has a frame of keys and, in a batch of pairs, one of values. `positions` says where each entry stood in the
    batch; it is None when the piece is the whole batch.
    """

    body: tuple[bytes, ...]
    flags: int
    entries: int
    positions: Positions | None


def cut(keys: Items, values: Items | None, boundaries: Boundaries) -> list[tuple[int, Piece]]:
    """The pieces of a batch with the numbers of their routes, in key order."""
    entries = len(keys.items)
    owners = _owners(keys, boundaries)
    first = int(owners[0]) if len(owners) else 0
    if not len(owners) or (owners == first).all():
        key_column, value_column = _whole(keys), _whole(values) if values else None
        return [(first, _piece(entries, key_column, value_column, None))]
    order = np.argsort(owners, kind="stable")
    owners = owners[order]
    cuts = [0, *(np.flatnonzero(owners[1:] != owners[:-1]) + 1).tolist(), entries]
    spans = list(pairwise(cuts))
    key_columns = _sorted_columns(keys, order, spans)
    value_columns = _sorted_columns(values, order, spans) if values else repeat(None)
    return [
        (int(owners[begin]), _piece(end - begin, key_column, value_column, order[begin:end]))
        for (begin, end), key_column, value_column in zip(spans, key_columns, value_columns, strict=False)
    ]


def _owners(keys: Items, boundaries: Boundaries) -> Owners:
    """The number of each key's route; nothing when there is only one route."""
    if not boundaries.starts:
        return np.empty(0, dtype=np.uint16)
    if keys.frame is None:
        owners, tied = boundaries.owners_of(keys.items)
        owners[tied] = _bisected([keys.items[at] for at in tied.tolist()], boundaries)
        return owners
    prefixes = columns.prefixes_of_fixed(keys.frame, keys.stride)
    owners = np.searchsorted(boundaries.prefixes, prefixes, side="right").astype(np.uint16)
    if not boundaries.decided_by_prefixes(keys.stride):
        tied = np.flatnonzero(owners != np.searchsorted(boundaries.prefixes, prefixes, side="left"))
        if len(tied):
            rows: Any = np.frombuffer(keys.frame, dtype=f"V{keys.stride}")[tied]
            owners[tied] = _bisected(rows.tolist(), boundaries)
    return owners


def _bisected(keys: Sequence[bytes], boundaries: Boundaries) -> Owners:
    return np.fromiter(map(bisect_right, repeat(boundaries.starts), keys), np.uint16, len(keys))


def _whole(column: Items) -> Column:
    return columns.encode(column.items) if column.frame is None else Column(column.frame, True)


def _sorted_columns(column: Items, order: Positions, spans: Sequence[tuple[int, int]]) -> Iterator[Column]:
    """For each span of the sorted column, its encoding."""
    if column.frame is not None and column.stride:
        rows = np.frombuffer(column.frame, dtype=f"V{column.stride}")[order]
        return (Column(rows[begin:end].tobytes(), True) for begin, end in spans)
    if column.frame is not None:
        return (Column(b"", True) for _ in spans)
    items = np.empty(len(order), dtype=object)
    items[:] = column.items
    ordered: list[bytes] = items[order].tolist()
    return (columns.encode(ordered[begin:end]) for begin, end in spans)


def _piece(entries: int, keys: Column, values: Column | None, positions: Positions | None) -> Piece:
    flags = int(Flag.KEYS_FIXED) * keys.fixed
    if values is None:
        return Piece((keys.frame,), flags, entries, positions)
    return Piece((keys.frame, values.frame), flags | int(Flag.VALUES_FIXED) * values.fixed, entries, positions)
