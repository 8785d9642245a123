"""The calls of a runner and their arguments: drawn block by block, with values made on demand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ycsb.distributions import Chooser, Hotspot, Latest, ScrambledZipfian, Uniform
from ycsb.keys import hashes_of, keys_of
from ycsb.settings import Phase, Settings
from ycsb.values import Values
from ycsb.workloads import SCAN_LENGTH_MAX, Distribution, Kind

BLOCK_OPERATIONS = 4_096
VERSIONS_PER_WRITER = 1 << 40

Call: TypeAlias = tuple[int, int, tuple[Any, ...]]
"""Kind, number of operations, and the arguments for the store."""


def calls_of(settings: Settings, runner: int) -> Iterator[Call]:
    """The calls of this runner in the phase."""
    if settings.phase is Phase.LOAD:
        return load_calls(settings, runner)
    return RunPlan(settings, runner).calls()


def share_of(total: int, runners: int, runner: int) -> range:
    """This runner's part of the numbers from 0 to `total` - 1."""
    return range(total * runner // runners, total * (runner + 1) // runners)


def load_calls(settings: Settings, runner: int) -> Iterator[Call]:
    """Inserts of the runner's share of the records."""
    arguments = Arguments(settings, runner)
    share = share_of(settings.records, settings.runners, runner)
    block = _whole_batches(settings.batch)
    for first in range(share.start, share.stop, block):
        numbers = np.arange(first, min(first + block, share.stop))
        calls = -(-len(numbers) // settings.batch)
        yield from arguments.calls([Kind.INSERT] * calls, numbers, [0] * calls)


def _whole_batches(batch: int) -> int:
    """The size of a block: whole batches, about BLOCK_OPERATIONS."""
    return max(batch, BLOCK_OPERATIONS // batch * batch)


def chooser_of(settings: Settings, random: np.random.Generator) -> Chooser:
    """The distribution chosen in the settings."""
    match settings.chosen_distribution:
        case Distribution.ZIPFIAN:
            return ScrambledZipfian(settings.records, random)
        case Distribution.LATEST:
            return Latest(settings.records, random)
        case Distribution.UNIFORM:
            return Uniform(random)
        case Distribution.HOTSPOT:
            return Hotspot(settings.records, settings.hot_records, settings.hot_operations, random)


class RunPlan:
    """Draws the operations of a run from the mix.

    Each runner inserts records with numbers of its own and knows no other inserts: its record number `records` + i is
    number `records` + `runner` + i * `runners` of the store. So it reads only records that it knows to exist.
    """

    def __init__(self, settings: Settings, runner: int) -> None:
        self._settings = settings
        self._runner = runner
        self._random = np.random.default_rng([settings.seed, runner])
        self._chooser = chooser_of(settings, self._random)
        self._arguments = Arguments(settings, runner)
        self._kinds = np.array(list(settings.mix.shares), dtype=np.int64)
        self._shares_up_to = np.cumsum(list(settings.mix.shares.values()))[:-1]
        self._existing = settings.records

    def calls(self) -> Iterator[Call]:
        """All calls of the run; endless if the run ends by time."""
        settings = self._settings
        left = None
        if settings.operations is not None:
            left = len(share_of(settings.operations, settings.runners, self._runner))
        block = _whole_batches(settings.batch)
        while left is None or left > 0:
            operations = block if left is None else min(block, left)
            yield from self._block(operations)
            left = None if left is None else left - operations

    def _block(self, operations: int) -> Iterator[Call]:
        batch = self._settings.batch
        calls = -(-operations // batch)
        kinds = self._kinds[np.searchsorted(self._shares_up_to, self._random.random(calls), side="right")]
        numbers = self._numbers(np.repeat(kinds == Kind.INSERT, batch)[:operations])
        lengths = self._random.integers(1, SCAN_LENGTH_MAX + 1, calls)
        return self._arguments.calls(kinds.tolist(), numbers, lengths.tolist())

    def _numbers(self, inserts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The record number of each operation: a new one for an insert, else one that exists by then."""
        inserted = np.cumsum(inserts)
        existing = self._existing + inserted - inserts
        chosen = np.where(inserts, existing, self._chooser.draw(existing))
        self._existing += int(inserted[-1])
        records = self._settings.records
        own = records + self._runner + (chosen - records) * self._settings.runners
        return np.where(chosen < records, chosen, own)


class Arguments:
    """Makes the arguments of calls. Every value written has a version of its own."""

    def __init__(self, settings: Settings, runner: int) -> None:
        self._batch = settings.batch
        self._make_value = Values(settings.value_bytes).make
        writer = 2 * runner + (settings.phase is Phase.RUN)
        self._versions = count(writer * VERSIONS_PER_WRITER)

    def calls(self, kinds: Iterable[int], numbers: NDArray[np.int64], lengths: Iterable[int]) -> Iterator[Call]:
        """One call for each kind, each with the records that follow."""
        hashes = hashes_of(numbers)
        if self._batch == 1:
            return self._singles(kinds, keys_of(hashes), hashes.tolist(), lengths)
        return self._batches(kinds, keys_of(hashes), hashes.tolist())

    def _singles(
        self, kinds: Iterable[int], keys: list[bytes], hashes: list[int], lengths: Iterable[int]
    ) -> Iterator[Call]:
        for kind, key, key_hash, length in zip(kinds, keys, hashes, lengths, strict=True):
            if kind == Kind.READ:
                yield kind, 1, (key,)
            elif kind == Kind.SCAN:
                yield kind, 1, (key, length)
            else:
                yield kind, 1, (key, self._make_value(key_hash, next(self._versions)))

    def _batches(self, kinds: Iterable[int], keys: list[bytes], hashes: list[int]) -> Iterator[Call]:
        for kind, at in zip(kinds, range(0, len(keys), self._batch), strict=True):
            part = keys[at : at + self._batch]
            if kind == Kind.READ:
                yield kind, len(part), (part,)
                continue
            values = list(map(self._make_value, hashes[at : at + self._batch], self._versions))
            yield kind, len(part), (part, values)
