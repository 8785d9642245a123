"""Cuts a batch by range: makes the frames of one request for each route that owns some of its keys.

Keys of one length are routed by their first 8 bytes as integers, which are compared with each boundary, or searched if
there are many of these. A key stays undecided if its first 8 bytes equal those of a boundary that is longer than 8
bytes or than the keys; such keys are routed by bisection. Keys of mixed lengths are routed in the same way, by as many
bytes as the longest boundary has, at most KEY_ROW_BYTES_MAX. Entries are sorted by route with a stable sort, so pairs
with the same key keep their order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from shardstore.client.calls.arguments import Items
from shardstore.lazy_numpy import np
from shardstore.limits import KEY_ROW_BYTES_MAX
from shardstore.wire import columns
from shardstore.wire.columns import PREFIX_BYTES, Column, Prefixes
from shardstore.wire.wire_format import Flag

if TYPE_CHECKING:
    import numpy.typing as npt

Positions: TypeAlias = "npt.NDArray[np.intp]"
Owners: TypeAlias = "npt.NDArray[np.uint16]"
COMPARED_KEYS = 256
"""For so many keys a boundary, comparing all of them with every boundary takes less time than a search for each."""


class Boundaries:
    """The starts of all ranges but the first, prepared for cutting."""

    def __init__(self, starts: Sequence[bytes]) -> None:
        self.starts = starts[1:]
        self._longest = max(map(len, self.starts), default=0)

    @cached_property
    def prefixes(self) -> Prefixes:
        """The first 8 bytes of each, as integers."""
        return np.array([columns.prefix_of(start) for start in self.starts], dtype=np.uint64)

    @cached_property
    def _rows(self) -> npt.NDArray[np.bytes_]:
        return np.array(self.starts, dtype=self._row_type)

    @property
    def _row_type(self) -> str:
        return f"S{min(self._longest, KEY_ROW_BYTES_MAX) or 1}"

    def owners_of(self, keys: Sequence[bytes]) -> tuple[Owners, Positions]:
        """The number of each key's route, and the positions of keys that must be bisected instead.

        These keys equal the beginning of a boundary. Numpy ignores zero bytes at the ends of rows, so keys that differ
        from it only in those are among them.
        """
        rows = np.array(keys, dtype=self._row_type)
        owners = np.searchsorted(self._rows, rows, side="right")
        return owners.astype(np.uint16), np.flatnonzero(owners != np.searchsorted(self._rows, rows, side="left"))

    def owners_by_prefixes(self, prefixes: Prefixes) -> Owners:
        """The number of each key's route, if a key with the same prefix as a boundary is never below the boundary."""
        if len(prefixes) < COMPARED_KEYS * len(self.starts):
            return np.searchsorted(self.prefixes, prefixes, side="right").astype(np.uint16)
        owners = np.zeros(len(prefixes), np.uint16)
        for boundary in self.prefixes:
            owners += prefixes >= boundary
        return owners

    def tied_by_prefixes(self, prefixes: Prefixes, owners: Owners) -> Positions:
        """The positions of the keys with the same prefix as a boundary."""
        return np.flatnonzero(self.prefixes[owners.astype(np.intp) - 1] == prefixes)

    def decided_by_prefixes(self, key_bytes: int) -> bool:
        """Whether a key of this length with the same prefix as a boundary is never below the boundary."""
        return self._longest <= min(key_bytes, PREFIX_BYTES)


class Piece(NamedTuple):
    """The entries of a batch that belong to one route, as frames of a request and their layout flags.

    `body` has a frame of keys and, in a batch of pairs, one of values. `positions`: the place of each entry in the
    batch; None if the piece is the whole batch.
    """

    body: tuple[bytes, ...]
    flags: int
    entries: int
    positions: Positions | None


def cut_by_range(keys: Items, values: Items | None, boundaries: Boundaries) -> list[tuple[int, Piece]]:
    """The pieces of a batch, each with the number of its route, in key order."""
    grouped = _grouped(keys, boundaries)
    if isinstance(grouped, int):
        key_column, value_column = _whole(keys), _whole(values) if values else None
        return [(grouped, _piece(len(keys.items), key_column, value_column, None))]
    owners, order, spans = grouped
    key_columns = _sorted_columns(keys, order, spans)
    value_columns = _sorted_columns(values, order, spans) if values else repeat(None)
    return [
        (int(owners[begin]), _piece(end - begin, key_column, value_column, order[begin:end]))
        for (begin, end), key_column, value_column in zip(spans, key_columns, value_columns, strict=False)
    ]


def group_by_range(keys: Items, boundaries: Boundaries) -> tuple[Positions | None, list[tuple[int, int, int]]]:
    """The positions of the keys in the order of the routes, and for each route its number and the span of its keys.

    None stands for the order in which the keys are.
    """
    grouped = _grouped(keys, boundaries)
    if isinstance(grouped, int):
        return None, [(grouped, 0, len(keys.items))]
    owners, order, spans = grouped
    return order, [(int(owners[begin]), begin, end) for begin, end in spans]


def _grouped(keys: Items, boundaries: Boundaries) -> int | tuple[Owners, Positions, list[tuple[int, int]]]:
    """The number of the only route; for several, the numbers and positions in key order, and the span of each route."""
    owners = _owners(keys, boundaries)
    first = int(owners[0]) if len(owners) else 0
    if not len(owners) or (owners == first).all():
        return first
    order = np.argsort(owners, kind="stable")
    owners = owners[order]
    cuts = [0, *(np.flatnonzero(owners[1:] != owners[:-1]) + 1).tolist(), len(keys.items)]
    return owners, order, list(pairwise(cuts))


def _owners(keys: Items, boundaries: Boundaries) -> Owners:
    """The number of each key's route; empty if there is only one route."""
    if not boundaries.starts:
        return np.empty(0, dtype=np.uint16)
    if keys.frame is None:
        owners, tied = boundaries.owners_of(keys.items)
        owners[tied] = _bisected([keys.items[at] for at in tied.tolist()], boundaries)
        return owners
    prefixes = columns.prefixes_of_fixed(keys.frame, keys.stride)
    owners = boundaries.owners_by_prefixes(prefixes)
    if not boundaries.decided_by_prefixes(keys.stride):
        tied = boundaries.tied_by_prefixes(prefixes, owners)
        if len(tied):
            rows: Any = np.frombuffer(keys.frame, dtype=f"V{keys.stride}")[tied]
            owners[tied] = _bisected(rows.tolist(), boundaries)
    return owners


def _bisected(keys: Sequence[bytes], boundaries: Boundaries) -> Owners:
    return np.fromiter(map(bisect_right, repeat(boundaries.starts), keys), np.uint16, len(keys))


def _whole(column: Items) -> Column:
    return columns.encode(column.items) if column.frame is None else Column(column.frame, True)


def _sorted_columns(column: Items, order: Positions, spans: Sequence[tuple[int, int]]) -> Iterator[Column]:
    """The encoded column of each span of a sorted column."""
    if column.frame is not None and column.stride:
        rows = np.frombuffer(column.frame, dtype=f"V{column.stride}")[order]
        return (Column(rows[begin:end].tobytes(), True) for begin, end in spans)
    if column.frame is not None:
        return (Column(b"", True) for _ in spans)
    items = np.fromiter(column.items, object, len(order))
    ordered: list[bytes] = items[order].tolist()
    return (columns.encode(ordered[begin:end]) for begin, end in spans)


def _piece(entries: int, keys: Column, values: Column | None, positions: Positions | None) -> Piece:
    flags = int(Flag.KEYS_FIXED) * keys.fixed
    if values is None:
        return Piece((keys.frame,), flags, entries, positions)
    return Piece((keys.frame, values.frame), flags | int(Flag.VALUES_FIXED) * values.fixed, entries, positions)
