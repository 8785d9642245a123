"""The contract of the filesystem seam, tested on every form."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from shardstore.errors import StorageFailure
from shardstore.seams.filesystem import Filesystem
from shardstore.system.posix_filesystem import PosixFilesystem
from tests.simulation.sim_disk import SimDisk
from tests.simulation.sim_filesystem import SimFilesystem

Opener = Callable[[], Filesystem]


@pytest.fixture(params=["posix", "simulated"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens the same files again and again, as one process after the other would."""
    if request.param == "posix":
        return lambda: PosixFilesystem(str(tmp_path / "data"))
    disk = SimDisk()
    return lambda: SimFilesystem(disk, random.Random(1))


@pytest.fixture
def filesystem(opener: Opener) -> Filesystem:
    return opener()


def write(filesystem: Filesystem, path: str, content: bytes) -> None:
    file = filesystem.create(path)
    file.append([content])
    file.close()


def read(filesystem: Filesystem, path: str) -> bytes:
    file = filesystem.open(path)
    try:
        return file.read_at(0, 1_000_000)
    finally:
        file.close()


class TestFiles:
    def test_a_new_file_is_empty_and_knows_its_path(self, filesystem: Filesystem) -> None:
        file = filesystem.create("name")
        assert (file.path, file.size(), file.read_at(0, 10)) == ("name", 0, b"")

    def test_appended_buffers_follow_each_other(self, filesystem: Filesystem) -> None:
        file = filesystem.create("name")
        file.append([b"one", bytearray(b"two"), memoryview(b"three")])
        file.append([])
        file.append([b"", b"four"])
        assert file.size() == 15
        assert file.read_at(0, 100) == b"onetwothreefour"

    def test_more_buffers_than_one_call_takes_are_all_written(self, filesystem: Filesystem) -> None:
        file = filesystem.create("name")
        file.append([b"%04d" % number for number in range(3_000)])
        assert file.read_at(0, 20_000) == b"".join(b"%04d" % number for number in range(3_000))

    def test_a_read_answers_what_is_there(self, filesystem: Filesystem) -> None:
        file = filesystem.create("name")
        file.append([b"0123456789"])
        assert (file.read_at(3, 4), file.read_at(8, 4), file.read_at(10, 4), file.read_at(50, 4)) == (
            b"3456",
            b"89",
            b"",
            b"",
        )

    def test_a_cut_file_grows_from_where_it_was_cut(self, filesystem: Filesystem) -> None:
        file = filesystem.create("name")
        file.append([b"x" * 5_000])
        file.truncate(3)
        assert file.size() == 3
        file.append([b"yz"])
        assert file.read_at(0, 100) == b"xxxyz"

    def test_another_handle_sees_what_was_written(self, opener: Opener) -> None:
        file = opener().create("name")
        file.append([b"content"])
        assert read(opener(), "name") == b"content"

    def test_synced_bytes_are_there_when_the_cache_is_dropped(self, filesystem: Filesystem) -> None:
        file = filesystem.create("name")
        file.append([b"z" * 10_000])
        file.sync()
        file.drop_cache()
        assert file.read_at(0, 20_000) == b"z" * 10_000

    def test_a_file_is_created_once(self, filesystem: Filesystem) -> None:
        filesystem.create("name")
        with pytest.raises(FileExistsError):
            filesystem.create("name")

    def test_a_missing_file_is_named(self, filesystem: Filesystem) -> None:
        for call in (filesystem.open, filesystem.map, filesystem.remove, filesystem.remove_gradually):
            with pytest.raises(FileNotFoundError):
                call("missing")
        with pytest.raises(FileNotFoundError):
            filesystem.rename("missing", "other")
        with pytest.raises(FileNotFoundError):
            filesystem.create("no/such/directory")

    def test_a_file_opened_for_reading_is_not_written(self, filesystem: Filesystem) -> None:
        write(filesystem, "name", b"content")
        file = filesystem.open("name")
        with pytest.raises(StorageFailure, match="append to name"):
            file.append([b"more"])
        with pytest.raises(StorageFailure, match="truncate name"):
            file.truncate(0)
        assert file.read_at(0, 100) == b"content"

    def test_a_closed_file_is_not_used(self, filesystem: Filesystem) -> None:
        file = filesystem.create("name")
        file.close()
        file.close()
        with pytest.raises(StorageFailure):
            file.append([b"late"])
        with pytest.raises(StorageFailure):
            file.size()
        with pytest.raises(StorageFailure):
            file.sync()

    @pytest.mark.parametrize("path", ["/etc/passwd", "..", "../other", "a/../../b"])
    def test_no_path_leaves_the_root(self, filesystem: Filesystem, path: str) -> None:
        for call in (filesystem.create, filesystem.open, filesystem.remove, filesystem.make_directory):
            with pytest.raises(ValueError, match="leaves the root"):
                call(path)


class TestMaps:
    def test_a_map_is_the_whole_content_read_only(self, filesystem: Filesystem) -> None:
        write(filesystem, "name", b"content")
        view = filesystem.map("name")
        assert bytes(view) == b"content"
        assert view.readonly

    def test_a_map_of_an_empty_file_is_empty(self, filesystem: Filesystem) -> None:
        write(filesystem, "name", b"")
        assert bytes(filesystem.map("name")) == b""

    @pytest.mark.fault("G8")
    @pytest.mark.parametrize("remove", ["remove", "remove_gradually"])
    def test_a_map_and_its_slices_outlive_the_name(self, filesystem: Filesystem, remove: str) -> None:
        write(filesystem, "name", b"content")
        view = filesystem.map("name")[2:5]
        getattr(filesystem, remove)("name")
        assert bytes(view) == b"nte"


class TestNames:
    def test_a_rename_replaces(self, filesystem: Filesystem) -> None:
        write(filesystem, "old", b"1")
        write(filesystem, "new", b"2")
        filesystem.rename("new", "old")
        assert read(filesystem, "old") == b"2"
        assert not filesystem.exists("new")

    @pytest.mark.parametrize("remove", ["remove", "remove_gradually"])
    def test_a_removed_file_is_gone_but_its_handle_works(self, filesystem: Filesystem, remove: str) -> None:
        file = filesystem.create("name")
        file.append([b"content"])
        getattr(filesystem, remove)("name")
        assert not filesystem.exists("name")
        assert file.read_at(0, 10) == b"content"

    def test_directories_are_made_with_their_parents_and_once(self, filesystem: Filesystem) -> None:
        filesystem.make_directory("a/b/c")
        filesystem.make_directory("a/b/c")
        write(filesystem, "a/b/c/name", b"content")
        assert filesystem.exists("a/b")
        assert filesystem.list_directory("a/b/c") == ["name"]
        assert read(filesystem, "a/b/c/name") == b"content"

    def test_a_file_is_no_directory(self, filesystem: Filesystem) -> None:
        write(filesystem, "name", b"content")
        with pytest.raises(StorageFailure):
            filesystem.make_directory("name/below")
        with pytest.raises(StorageFailure):
            filesystem.list_directory("name")

    def test_a_directory_is_no_file(self, filesystem: Filesystem) -> None:
        filesystem.make_directory("directory")
        write(filesystem, "name", b"content")
        with pytest.raises(StorageFailure):
            filesystem.remove("directory")
        with pytest.raises(StorageFailure):
            filesystem.rename("name", "directory")

    def test_a_link_is_a_second_name_of_the_same_file(self, filesystem: Filesystem) -> None:
        filesystem.make_directory("one")
        filesystem.make_directory("two")
        file = filesystem.create("one/name")
        filesystem.link("one/name", "two/other")
        file.append([b"content"])
        assert read(filesystem, "two/other") == b"content"
        filesystem.remove("one/name")
        assert bytes(filesystem.map("two/other")) == b"content"
        assert not filesystem.exists("one/name")

    def test_a_link_needs_a_file_and_a_free_name(self, filesystem: Filesystem) -> None:
        write(filesystem, "name", b"content")
        write(filesystem, "taken", b"")
        filesystem.make_directory("directory")
        with pytest.raises(FileExistsError):
            filesystem.link("name", "taken")
        with pytest.raises(FileExistsError):
            filesystem.link("name", "directory")
        with pytest.raises(FileNotFoundError):
            filesystem.link("missing", "other")
        with pytest.raises(FileNotFoundError):
            filesystem.link("name", "no/such/directory")
        with pytest.raises(StorageFailure, match="link directory"):
            filesystem.link("directory", "other")
        with pytest.raises(ValueError, match="leaves the root"):
            filesystem.link("name", "../other")

    def test_an_empty_directory_can_go(self, filesystem: Filesystem) -> None:
        filesystem.make_directory("a/b")
        write(filesystem, "name", b"")
        with pytest.raises(StorageFailure, match="remove directory a"):
            filesystem.remove_directory("a")
        filesystem.remove_directory("a/b")
        assert filesystem.list_directory("a") == []
        with pytest.raises(FileNotFoundError):
            filesystem.remove_directory("a/b")
        with pytest.raises(StorageFailure, match="remove directory name"):
            filesystem.remove_directory("name")

    def test_a_list_is_sorted_and_empty_for_what_is_missing(self, filesystem: Filesystem) -> None:
        for name in ("b", "c", "a"):
            write(filesystem, name, b"")
        assert filesystem.list_directory("") == ["a", "b", "c"]
        assert filesystem.list_directory("missing") == []

    def test_directories_are_synced(self, filesystem: Filesystem) -> None:
        filesystem.make_directory("directory")
        filesystem.sync_directory("directory")
        filesystem.sync_directory("")
        with pytest.raises(FileNotFoundError):
            filesystem.sync_directory("missing")
        filesystem.forget_failed_sync("directory")
        filesystem.sync_directory("directory")


class TestLocks:
    @pytest.mark.fault("W4")
    def test_a_lock_is_held_once(self, opener: Opener) -> None:
        first, second = opener(), opener()
        lock = first.lock("LOCK")
        assert lock is not None
        assert second.lock("LOCK") is None
        assert first.lock("LOCK") is None
        lock.release()
        lock.release()
        again = second.lock("LOCK")
        assert again is not None
        again.release()
