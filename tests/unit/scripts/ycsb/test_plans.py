"""The plans of runners: shares, numbers of records, batches; a runner reads only records it knows to exist."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import chain, islice

import numpy as np
import pytest
from ycsb.keys import hashes_of, keys_of
from ycsb.plans import BLOCK_OPERATIONS, Call, calls_of, share_of
from ycsb.settings import Phase, Settings, StoreName
from ycsb.values import VALUE_BYTES_MIN, Values
from ycsb.workloads import SCAN_LENGTH_MAX, WORKLOADS, Distribution, Kind

from shardstore import InvalidRequest

SETTINGS = Settings(
    "unix:///nowhere", records=1_000, operations=20_000, processes=2, threads=2, fields=2, field_bytes=30
)
IS_RIGHT = Values(SETTINGS.value_bytes).is_right


def all_calls(settings: Settings) -> list[Call]:
    return list(chain.from_iterable(calls_of(settings, runner) for runner in range(settings.runners)))


def keys_in(call: Call) -> list[bytes]:
    keys = call[2][0]
    return [keys] if isinstance(keys, bytes) else keys


def pairs_in(call: Call) -> list[tuple[bytes, bytes]]:
    keys, values = call[2]
    return [(keys, values)] if isinstance(keys, bytes) else list(zip(keys, values, strict=True))


def keys_of_records(count: int) -> list[bytes]:
    return keys_of(hashes_of(np.arange(count)))


@pytest.mark.parametrize("batch", [1, 7, 100, 5_000])
def test_a_load_inserts_every_record_once(batch: int) -> None:
    calls = all_calls(replace(SETTINGS, phase=Phase.LOAD, records=10_001, batch=batch))
    assert {call[0] for call in calls} == {Kind.INSERT}
    pairs = list(chain.from_iterable(map(pairs_in, calls)))
    assert [key for key, _ in pairs] == keys_of_records(10_001)
    assert all(IS_RIGHT(key, value) for key, value in pairs)
    assert sum(operations for _, operations, _ in calls) == 10_001
    assert max(operations for _, operations, _ in calls) == min(batch, 2_501)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_run_has_the_shares_of_its_workload(workload: str) -> None:
    calls = all_calls(replace(SETTINGS, workload=workload))
    shares = {Kind(kind): count / len(calls) for kind, count in Counter(call[0] for call in calls).items()}
    assert len(calls) == SETTINGS.operations
    assert shares == pytest.approx(dict(WORKLOADS[workload].shares), abs=0.02)


@pytest.mark.parametrize("operations", [1, 3, 999])
def test_operations_are_divided_without_rest(operations: int) -> None:
    assert len(all_calls(replace(SETTINGS, operations=operations))) == operations
    parts = [share_of(operations, 4, runner) for runner in range(4)]
    assert list(chain.from_iterable(parts)) == list(range(operations))


@pytest.mark.parametrize("batch", [10, 1_000])
def test_a_batch_is_of_one_kind_and_size(batch: int) -> None:
    calls = list(calls_of(replace(SETTINGS, workload="f", batch=batch, processes=1, threads=1), 0))
    assert {operations for _, operations, _ in calls} == {batch}
    assert {call[0] for call in calls} == {Kind.READ, Kind.READ_MODIFY_WRITE}
    assert all(len(keys_in(call)) == batch for call in calls)
    assert sum(operations for _, operations, _ in calls) == SETTINGS.operations


@pytest.mark.parametrize("batch", [1, 30])
@pytest.mark.parametrize("distribution", Distribution)
def test_what_is_read_was_loaded_or_inserted_by_the_same_runner_before(distribution: Distribution, batch: int) -> None:
    settings = replace(SETTINGS, workload="d", distribution=distribution, batch=batch)
    loaded = set(keys_of_records(settings.records))
    inserted_by_all: set[bytes] = set()
    for runner in range(settings.runners):
        known = set(loaded)
        for call in calls_of(settings, runner):
            keys = keys_in(call)
            if call[0] == Kind.INSERT:
                assert not known & set(keys)
                known.update(keys)
            else:
                assert known >= set(keys)
        assert not inserted_by_all & (known - loaded)
        inserted_by_all |= known - loaded
    assert len(inserted_by_all) == pytest.approx(0.05 * settings.operations, rel=0.3)


def test_the_latest_records_are_read_soon_after_their_insert() -> None:
    calls = list(calls_of(replace(SETTINGS, workload="d", processes=1, threads=1), 0))
    newest, read_at_once, reads = b"", 0, 0
    for call in calls:
        if call[0] == Kind.INSERT:
            newest = keys_in(call)[0]
        elif newest:
            reads += 1
            read_at_once += keys_in(call)[0] == newest
    assert read_at_once / reads > 0.1


@pytest.mark.parametrize("workload", ["a", "d", "f"])
@pytest.mark.parametrize("batch", [1, 50])
def test_written_values_are_right_and_all_different(workload: str, batch: int) -> None:
    calls = all_calls(replace(SETTINGS, workload=workload, batch=batch))
    pairs = list(chain.from_iterable(pairs_in(call) for call in calls if call[0] != Kind.READ))
    assert all(IS_RIGHT(key, value) for key, value in pairs)
    assert len({value for _, value in pairs}) == len(pairs) > 0


def test_scans_have_all_lengths() -> None:
    calls = all_calls(replace(SETTINGS, workload="e"))
    lengths = Counter(call[2][1] for call in calls if call[0] == Kind.SCAN)
    assert sorted(lengths) == list(range(1, SCAN_LENGTH_MAX + 1))
    assert max(lengths.values()) < 2 * min(lengths.values())


def test_the_seed_determines_all_calls_and_runners_differ() -> None:
    first = list(calls_of(SETTINGS, 1))
    assert first == list(calls_of(SETTINGS, 1))
    assert first != list(calls_of(SETTINGS, 2))
    assert first != list(calls_of(replace(SETTINGS, seed=2), 1))


def test_a_run_for_a_time_never_ends_by_itself() -> None:
    timed = replace(SETTINGS, operations=None, seconds=1.0)
    assert len(list(islice(calls_of(timed, 0), 50_000))) == 50_000
    first_block = list(islice(calls_of(timed, 0), BLOCK_OPERATIONS))
    assert first_block == list(islice(calls_of(SETTINGS, 0), BLOCK_OPERATIONS))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workload": "g"}, "no workload 'g'"),
        ({"records": 0}, "at least 1"),
        ({"threads": 0}, "at least 1"),
        ({"tasks": -1}, "at least 1"),
        ({"hot_records": 0.0}, "fractions"),
        ({"hot_operations": 1.5}, "fractions"),
        (
            {"fields": 1, "field_bytes": VALUE_BYTES_MIN - 1},
            f"has {VALUE_BYTES_MIN} to 8,388,608 bytes, not {VALUE_BYTES_MIN - 1}",
        ),
        ({"fields": 1_000, "field_bytes": 100_000}, "to 8,388,608 bytes, not 100,000,000"),
        ({"tasks": 4}, "not both"),
        ({"target": 0.0}, "target"),
        ({"target": float("nan")}, "target"),
        ({"operations": None}, "operations or seconds"),
        ({"seconds": 1.0}, "operations or seconds"),
        ({"operations": 0}, "at least 1 operation"),
        ({"operations": None, "seconds": -1.0}, "more than 0 seconds"),
        ({"operations": None, "seconds": float("nan")}, "more than 0 seconds"),
        ({"operations": None, "seconds": float("inf")}, "more than 0 seconds"),
        ({"workload": "e", "batch": 2}, "no batches"),
        ({"workload": "e", "store": StoreName.REDIS}, "no ordered scan"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(changes: dict[str, object], words: str) -> None:
    SETTINGS.check()
    with pytest.raises(InvalidRequest, match=words):
        replace(SETTINGS, **changes).check()  # type: ignore[arg-type]
