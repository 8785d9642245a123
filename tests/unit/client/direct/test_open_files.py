"""The open segments of a client: the newest manifest that was asked for, and a bound on the tables."""

from __future__ import annotations

import pytest

from shardstore.client.direct.open_files import OpenFiles
from shardstore.errors import Corruption
from shardstore.files.file_names import manifest
from shardstore.tables.digests import digest_of
from shardstore.tables.not_ready import NOT_READY
from shardstore.workers.segment.manifest_writer import publish_manifest
from tests.unit.client.direct.direct_store import MEMORY, STORE, TABLES, DirectStore
from tests.unit.faulty_filesystem import FaultyFilesystem


@pytest.fixture
def store() -> DirectStore:
    """Three segments with two tables each."""
    store = DirectStore([b"", b"m", b"t"])
    for segment, key in ((1, b"a"), (2, b"n"), (3, b"u")):
        for value in (b"old", b"new"):
            store.drain({key: value}, segment)
    return store


def open_files(store: DirectStore, tables_max: int = TABLES) -> OpenFiles:
    return OpenFiles(store.filesystem, STORE, MEMORY, tables_max)


def manifests_read(filesystem: FaultyFilesystem) -> int:
    return sum(call.endswith("MANIFEST") for call in filesystem.trace)


def test_a_segment_is_opened_once(store: DirectStore) -> None:
    files = open_files(store)
    segment = files.segment(1, 1)
    store.filesystem.trace.clear()
    assert files.segment(1, 3) is segment
    assert manifests_read(store.filesystem) == 0
    assert segment.get_many([b"a"]) == [b"new"]


def test_the_version_of_what_is_open_is_known(store: DirectStore) -> None:
    files = open_files(store)
    assert files.version(1) == 0
    files.segment(1, 1)
    assert files.version(1) == store.manifest(1).version == 3
    files.close(1)
    files.close(1)
    assert files.version(1) == 0


def test_a_later_version_is_read_when_it_is_asked_for(store: DirectStore) -> None:
    files = open_files(store)
    segment = files.segment(1, 1)
    version = store.drain({b"a": b"newest"}).version
    assert files.segment(1, version - 1).get_many([b"a"]) == [b"new"]
    assert files.segment(1, version) is segment
    assert segment.get_many([b"a"]) == [b"newest"]
    assert files.version(1) == version


def test_a_version_later_than_the_one_asked_for_is_as_good(store: DirectStore) -> None:
    files = open_files(store)
    files.segment(1, 1)
    version = store.drain({b"a": b"newest"}).version
    store.publish({b"a": b"not told on the board yet"})
    assert files.segment(1, version).get_many([b"a"]) == [b"not told on the board yet"]
    assert files.version(1) == version + 1


@pytest.mark.parametrize("tables_max", [1, 2, 4, 5])
def test_the_segment_that_was_not_read_for_the_longest_time_is_closed(store: DirectStore, tables_max: int) -> None:
    files = open_files(store, tables_max)
    for segment in (1, 2, 1, 3):
        files.segment(segment, 1)
    assert [*files] == ([1, 3] if tables_max >= 4 else [3])


def test_a_segment_that_was_read_without_asking_for_it_gets_a_second_chance(store: DirectStore) -> None:
    files = open_files(store, 4)
    first, second = files.segment(1, 1), files.segment(2, 1)
    files.segment(3, 1)
    assert [*files] == [2, 3], "all three were asked for"
    second.get(b"n", digest_of(b"n"))
    assert second.get_ready(b"n", digest_of(b"n")) == b"new"
    files.segment(1, 1)
    assert sorted(files) == [1, 2]
    assert first.get_ready(b"a", digest_of(b"a")) is NOT_READY, "it was closed"


def test_a_segment_that_grows_closes_others(store: DirectStore) -> None:
    files = open_files(store, 6)
    for segment in (1, 2, 3):
        files.segment(segment, 1)
    version = store.drain({b"a": b"newest"}).version
    files.segment(1, version)
    assert [*files] == [3, 1]


def test_a_segment_with_too_many_tables_is_open_alone(store: DirectStore) -> None:
    files = open_files(store, 1)
    assert files.segment(2, 1).get_many([b"n"]) == [b"new"]
    assert [*files] == [2]


def test_what_cannot_be_opened_is_not_kept(store: DirectStore) -> None:
    files = open_files(store)
    with pytest.raises(FileNotFoundError):
        files.segment(9, 1)
    store.filesystem.place(manifest(1), b"damaged")
    with pytest.raises(Corruption):
        files.segment(1, 1)
    assert [*files] == []


def test_an_older_manifest_in_the_place_of_a_newer_one_is_refused(store: DirectStore) -> None:
    older = store.manifest(1)
    files = open_files(store)
    newest = files.segment(1, store.drain({b"a": b"newest"}).version)
    publish_manifest(store.filesystem, older)
    with pytest.raises(Corruption, match="an older version than was here before"):
        files.segment(1, newest.manifest.version + 1)
