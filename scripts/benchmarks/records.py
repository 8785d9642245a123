"""Records to write and look up. The same shape, count and seed give the same records in every process.

All records are made from splitmix64, whose outputs are distinct and in random order: record i is made of number i of
the sequence. Numbers beyond the last record give absent keys of the same form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[np.uint64]

SEED_STRIDE = 1 << 40
"""Distance between the sequences of two seeds; larger than any count."""
HEX_VALUE_BYTES = 24
TENANTS = 20
PATHS = 1 << 14
"""The number of prefixes that path keys share."""


@dataclass(frozen=True, slots=True)
class RecordShape:
    """The form of keys and values, both made from the numbers of the records."""

    name: str
    keys: Callable[[Numbers], list[bytes]]
    values: Callable[[Numbers], list[bytes]]


@dataclass(frozen=True, slots=True)
class Records:
    """Distinct keys in random order, each with its value."""

    shape: RecordShape
    seed: int
    keys: list[bytes]
    values: list[bytes]

    def absent(self, count: int) -> list[bytes]:
        """`count` keys of the same form that are not among the records, spread between them."""
        return self.shape.keys(_numbers(self.seed, len(self.keys), count))

    def reads(self) -> tuple[list[bytes], list[bytes | None]]:
        """As many keys as records, in random order, with the value expected for each. One key in five is absent."""
        misses = len(self.keys) // 5
        keys = self.keys[misses:] + self.absent(misses)
        expected = [*self.values[misses:], *[None] * misses]
        order = np.random.default_rng(self.seed).permutation(len(keys)).tolist()
        return [keys[at] for at in order], [expected[at] for at in order]

    def boundaries(self, ranges: int) -> list[bytes]:
        """Keys that split the records into `ranges` ranges of equal size, or fewer if there are fewer records."""
        places = {len(self.keys) * at // ranges for at in range(1, ranges)}
        in_order = sorted(self.keys)
        return [in_order[place] for place in sorted(places)]


def records_of(shape: RecordShape, count: int, seed: int = 0) -> Records:
    """`count` records. A larger count begins with the same records."""
    numbers = _numbers(seed, 0, count)
    return Records(shape, seed, shape.keys(numbers), shape.values(numbers))


def splitmix64(first: int, count: int) -> Numbers:
    """`count` outputs of splitmix64 from the state `first`: distinct, and spread over all 64 bits."""
    state = np.arange(first + 1, first + count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _numbers(seed: int, first: int, count: int) -> Numbers:
    return splitmix64(seed * SEED_STRIDE + first, count)


def _hex_keys(numbers: Numbers) -> list[bytes]:
    return [b"%016x" % number for number in numbers.tolist()]


def _hex_values(numbers: Numbers) -> list[bytes]:
    return [(key + key)[:HEX_VALUE_BYTES] for key in _hex_keys(numbers)]


def _path_keys(numbers: Numbers) -> list[bytes]:
    """Keys of a path that many of them share, which may be empty, and 8 bytes that distinguish them."""
    paths = _paths()
    ends = _pieces(numbers.astype(">u8").tobytes(), 8)
    return [paths[place] + end for place, end in zip((numbers % PATHS).tolist(), ends, strict=True)]


@cache
def _paths() -> list[bytes]:
    """Paths of zero to five levels, 0 to 56 bytes long."""
    return [
        b"".join(
            (
                b"tenant:%03d/" % (number % 200),
                b"user:%d/" % (number // 200 % 100_000),
                b"order:%d/" % ((number >> 32) % 1_000_000),
                b"line:%d/" % (number % 100),
                b"event:%d/" % ((number >> 40) % 1_000_000),
            )[: place % 6]
        )
        for place, number in enumerate(splitmix64(0, PATHS).tolist())
    ]


def _tenant_keys(numbers: Numbers) -> list[bytes]:
    """Keys of one length; neighbours in key order share about half of their bytes."""
    return [b"tenant/%04d/user/%016x/attr" % (number % TENANTS, number) for number in numbers.tolist()]


def _random_values(value_bytes: int) -> Callable[[Numbers], list[bytes]]:
    """Makes random values, which do not compress."""

    def values(numbers: Numbers) -> list[bytes]:
        source = np.random.default_rng(numbers[:1])
        return [source.bytes(value_bytes) for _ in numbers]

    return values


def _pieces(blob: bytes, size: int) -> Iterator[bytes]:
    return (blob[at : at + size] for at in range(0, len(blob), size))


HEX = RecordShape("hex", _hex_keys, _hex_values)
TENANT = RecordShape("tenant", _tenant_keys, _random_values(16))
VARIABLE_100 = RecordShape("variable-100", _path_keys, _random_values(100))
VARIABLE_4K = RecordShape("variable-4k", _path_keys, _random_values(4_096))
SHAPES = {shape.name: shape for shape in (HEX, TENANT, VARIABLE_100, VARIABLE_4K)}
"""Every shape by its name."""
