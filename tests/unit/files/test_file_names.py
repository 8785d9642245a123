"""Names in a data directory: they are parsed as they are made, and no two things have the same name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.files import file_names

U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)


@given(st.integers(0, 255), U64)
def test_wal_file_is_named_by_its_first_lsn(worker: int, lsn: int) -> None:
    directory, name = file_names.wal_file(worker, lsn).rsplit("/", 1)
    assert directory == file_names.worker_directory(worker)
    assert file_names.first_lsn_of(name) == lsn


@given(U32, U32)
def test_table_file_is_named_by_its_number_in_the_directory_of_its_segment(segment: int, number: int) -> None:
    directory, name = file_names.table_file(segment, number).rsplit("/", 1)
    assert directory == file_names.segment_directory(segment)
    assert file_names.table_number_of(name) == number
    assert file_names.segment_of(directory.rsplit("/", 1)[1]) == segment


@given(st.sets(U64, min_size=2, max_size=5))
def test_wal_files_order_by_name_as_by_lsn(lsns: set[int]) -> None:
    names = [file_names.wal_file(0, lsn) for lsn in sorted(lsns)]
    assert names == sorted(names)


@pytest.mark.parametrize(
    "name", ["", "LOG", "wal-1.log", "wal-000000000000000G.log", "wal-0000000000000001.log.tmp", "MANIFEST", "2a"]
)
def test_other_names_are_not_taken_for_ours(name: str) -> None:
    assert file_names.first_lsn_of(name) is None
    assert file_names.table_number_of(name) is None
    assert file_names.segment_of(name) is None


def test_names_are_those_of_the_drawing() -> None:
    drawn = file_names.__doc__ or ""
    made = [
        file_names.STORE,
        file_names.ENDPOINT,
        file_names.ROUTER_LOCK,
        file_names.ROUTES,
        file_names.worker_lock(3),
        file_names.jobs_lock(3),
        file_names.log_document(3),
        file_names.manifest(0x2A),
        file_names.table_file(0x2A, 7),
    ]
    assert [name for name in made if name not in drawn.split() and f"{name}," not in drawn.split()] == []
