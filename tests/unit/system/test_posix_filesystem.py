"""The real filesystem, except what test_filesystem_contract.py tests."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from shardstore.errors import DiskFull, StorageFailure
from shardstore.system.posix_filesystem import REMOVED_AT_ONCE_BYTES, PosixFilesystem
from shardstore.system.running_cluster import identity_of


@pytest.fixture
def filesystem(tmp_path: Path) -> PosixFilesystem:
    return PosixFilesystem(str(tmp_path / "data"))


def failing(number: int) -> Callable[..., Any]:
    def call(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


def test_files_and_directories_are_for_their_user_only(filesystem: PosixFilesystem, tmp_path: Path) -> None:
    filesystem.make_directory("directory")
    filesystem.create("directory/file")
    filesystem.lock("LOCK")
    modes = [
        stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) for name in ("directory", "directory/file", "LOCK")
    ]
    assert modes == [0o700, 0o600, 0o600]
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


@pytest.mark.fault("W4")
def test_descriptors_are_not_inherited(filesystem: PosixFilesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    really_open = os.open

    def recording_open(*path: Any, **where: Any) -> int:
        opened.append(really_open(*path, **where))
        return opened[-1]

    monkeypatch.setattr(os, "open", recording_open)
    handles = [filesystem.create("file"), filesystem.open("file"), filesystem.lock("LOCK")]
    assert len(opened) == len(handles)
    assert not any(map(os.get_inheritable, opened))


def test_a_symbolic_link_is_not_followed(filesystem: PosixFilesystem, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(StorageFailure, match="open link"):
        filesystem.open("link")
    with pytest.raises(FileExistsError):
        filesystem.create("link")


@pytest.mark.fault("L7")
def test_short_writes_are_completed(filesystem: PosixFilesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "writev", lambda descriptor, buffers: write(descriptor, buffers[0][:2]))
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    file = filesystem.create("file")
    file.append([b"first", b"second"])
    assert file.read_at(0, 100) == b"firstsecond"
    file.append([b"long", bytes(5_000)])
    assert file.read_at(0, 6_000) == b"firstsecondlong" + bytes(5_000)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize(("call", "data"), [("write", b"data"), ("writev", bytes(5_000))])
def test_no_room_is_a_full_disk(
    filesystem: PosixFilesystem, monkeypatch: pytest.MonkeyPatch, number: int, call: str, data: bytes
) -> None:
    file = filesystem.create("file")
    monkeypatch.setattr(os, call, failing(number))
    with pytest.raises(DiskFull, match="disk full: cannot append to file: " + os.strerror(number)):
        file.append([data])


def test_other_errors_name_the_operation_and_the_path(
    filesystem: PosixFilesystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = filesystem.create("file")
    monkeypatch.setattr(os, "pread", failing(errno.EIO))
    with pytest.raises(StorageFailure, match="cannot read file: Input/output error") as failure:
        file.read_at(0, 1)
    assert not isinstance(failure.value, DiskFull)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOENT, "cannot make the data directory HERE: No such file or directory; choose another place"),
        (errno.EEXIST, "cannot make the data directory HERE: File exists; choose another place"),
        (
            errno.EACCES,
            "cannot make the data directory HERE: Permission denied; choose a place that this user may write",
        ),
        (errno.EROFS, "cannot make the data directory HERE: Read-only file system; choose a place that this user may"),
        (errno.ENOSPC, "disk full: cannot make the data directory HERE: No space left on device"),
    ],
)
def test_a_root_that_cannot_be_made_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int, words: str
) -> None:
    monkeypatch.setattr(os, "makedirs", lambda *_, **__: failing(number)())
    with pytest.raises(StorageFailure) as failure:
        PosixFilesystem(str(tmp_path / "data"))
    assert str(failure.value).startswith(words.replace("HERE", f"{tmp_path}/data"))


@pytest.mark.fault("L6")
def test_a_failed_sync_is_final_for_its_handle(filesystem: PosixFilesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    file, other = filesystem.create("file"), filesystem.create("other")
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", failing(errno.EIO))
        with pytest.raises(StorageFailure, match="sync file"):
            file.sync()
    with pytest.raises(StorageFailure, match="sync file"):
        file.sync()
    other.sync()
    filesystem.open("file").sync()


def test_a_file_that_was_removed_is_synced_no_more(filesystem: PosixFilesystem) -> None:
    file = filesystem.create("file")
    file.sync()
    filesystem.remove("file")
    for _ in range(2):
        with pytest.raises(StorageFailure, match="file was removed while it was written"):
            file.sync()


@pytest.mark.parametrize("there", ["nothing", "another directory"])
def test_a_directory_that_was_moved_is_not_made_anew(tmp_path: Path, there: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    expected = identity_of(data)
    data.rename(tmp_path / "moved")
    if there != "nothing":
        data.mkdir()
    with pytest.raises(StorageFailure, match="data was moved, removed or unmounted while the cluster runs"):
        PosixFilesystem(str(data), expected)
    assert data.exists() == (there != "nothing")
    PosixFilesystem(str(tmp_path / "moved"), expected).create("file")


def test_a_failed_sync_of_a_directory_is_final(filesystem: PosixFilesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    filesystem.make_directory("directory")
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", failing(errno.EIO))
        with pytest.raises(StorageFailure, match="sync directory directory"):
            filesystem.sync_directory("directory")
    with pytest.raises(StorageFailure, match="sync directory directory"):
        filesystem.sync_directory("directory")
    filesystem.sync_directory("")


def test_a_made_directory_is_synced_into_its_parents_even_when_it_was_there(
    filesystem: PosixFilesystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    filesystem.make_directory("a/b")
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    filesystem.make_directory("a/b/c")
    assert [os.path.basename(path) for path in synced] == ["data", "a", "b"]


def open_paths() -> Iterator[str]:
    """The files that this process has open."""
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile
            yield os.readlink(f"/proc/self/fd/{descriptor}")


class TestGradualRemoval:
    SIZE = 3 * REMOVED_AT_ONCE_BYTES + 1

    @pytest.fixture
    def left(self, filesystem: PosixFilesystem, tmp_path: Path) -> Iterator[Callable[[], int]]:
        """Makes the large file "name"; returns a function for its remaining bytes, which does not hold the file."""
        file = filesystem.create("name")
        file.append([bytes(self.SIZE)])
        file.close()
        descriptor = os.open(tmp_path / "data" / "name", os.O_RDONLY)

        def size() -> int:
            for thread in threading.enumerate():
                if thread.name == "remove files":
                    thread.join()
            return os.fstat(descriptor).st_size

        yield size
        os.close(descriptor)

    def test_what_nobody_has_open_is_cut(self, filesystem: PosixFilesystem, left: Callable[[], int]) -> None:
        filesystem.remove_gradually("name")
        assert not filesystem.exists("name")
        assert 0 < left() <= REMOVED_AT_ONCE_BYTES

    def test_any_number_of_files_is_cut(
        self, filesystem: PosixFilesystem, left: Callable[[], int], tmp_path: Path
    ) -> None:
        names = [f"file{number}" for number in range(70)]
        for name in names:
            file = filesystem.create(name)
            file.append([bytes(REMOVED_AT_ONCE_BYTES + 1)])
            file.close()
        for name in [*names, "name"]:
            filesystem.remove_gradually(name)
        assert left() <= REMOVED_AT_ONCE_BYTES
        assert not any(map(filesystem.exists, names))
        assert not [path for path in open_paths() if path.startswith(str(tmp_path / "data" / "file"))]

    def test_another_name_keeps_it_whole(self, filesystem: PosixFilesystem, left: Callable[[], int]) -> None:
        filesystem.link("name", "other")
        filesystem.remove_gradually("name")
        assert left() == self.SIZE
        filesystem.remove_gradually("other")
        assert left() <= REMOVED_AT_ONCE_BYTES

    def test_a_mapping_keeps_it_whole(self, filesystem: PosixFilesystem, left: Callable[[], int]) -> None:
        last = filesystem.map("name")[-1:]
        filesystem.remove_gradually("name")
        assert left() == self.SIZE
        assert bytes(last) == b"\0"

    def test_a_handle_keeps_it_whole(self, filesystem: PosixFilesystem, left: Callable[[], int]) -> None:
        file = filesystem.open("name")
        filesystem.remove_gradually("name")
        assert left() == self.SIZE
        assert file.read_at(self.SIZE - 1, 10) == b"\0"
        file.close()

    @pytest.mark.parametrize("operation", ["open", "map"])
    def test_what_is_being_cut_is_not_there(
        self, filesystem: PosixFilesystem, left: Callable[[], int], tmp_path: Path, operation: str
    ) -> None:
        remover = os.open(tmp_path / "data" / "name", os.O_RDWR)
        fcntl.flock(remover, fcntl.LOCK_EX)
        with pytest.raises(FileNotFoundError):
            getattr(filesystem, operation)("name")
        os.close(remover)
        assert len(filesystem.map("name")) == left()

    def test_a_symbolic_link_is_not_followed(self, filesystem: PosixFilesystem, tmp_path: Path) -> None:
        (tmp_path / "outside").write_bytes(bytes(self.SIZE))
        (tmp_path / "data" / "link").symlink_to(tmp_path / "outside")
        with pytest.raises(StorageFailure, match="remove link"):
            filesystem.remove_gradually("link")
        assert (tmp_path / "outside").stat().st_size == self.SIZE
