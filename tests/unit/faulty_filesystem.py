"""A simulated filesystem that can trace calls and make each of them fail, and whose files a test may change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any

from shardstore.errors import StorageFailure
from shardstore.identifiers import Buffer
from tests.simulation.sim_disk import Directory, Inode, PowerLoss, SimDisk
from tests.simulation.sim_filesystem import SimFile, SimFilesystem


class Killed(BaseException):
    """Raised where the process was killed inside a filesystem call."""


class FaultyFile:
    """A file that reports every call to its filesystem."""

    def __init__(self, filesystem: FaultyFilesystem, file: SimFile) -> None:
        self.path = file.path
        self._filesystem = filesystem
        self._file = file

    def append(self, buffers: Sequence[Buffer]) -> None:
        """Append; a failed append leaves half of the bytes."""
        data = b"".join(buffers)
        try:
            self._filesystem.called("append", self.path)
        except BaseException:
            self._file.append([data[: len(data) // 2]])
            raise
        self._file.append([data])

    def sync(self) -> None:
        """Sync; a failure is final: the pages count as clean but are not on the disk."""
        self._filesystem.sync_or_fail("sync", self.path, self._file.sync)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name != "close":
            self._filesystem.called(name, self.path)
        method: Callable[..., Any] = getattr(self._file, name)
        return method


class FaultyFilesystem(SimFilesystem):
    """The filesystem. `fault(number of the call, operation, path)` runs before every call and may raise."""

    def __init__(self, disk: SimDisk | None = None) -> None:
        super().__init__(disk or SimDisk(), Random(0))
        self.number = 0
        self.trace: list[str] = []
        self.healthy()

    def healthy(self) -> None:
        """Make every call succeed, as in a new process."""
        self._unsyncable = {}
        self.fault: Callable[[int, str, str], None] = lambda number, operation, path: None

    def kill(self) -> None:
        """Ignore the end of the process: after a power loss, tests use this object as the next process would."""

    def called(self, operation: str, path: str) -> None:
        """Count a call, and let the fault raise."""
        self.number += 1
        self.trace.append(f"{operation} {path}")
        self.fault(self.number, operation, path)

    def sync_or_fail(self, operation: str, path: str, sync: Callable[[], None]) -> None:
        """Sync, or fail finally, as a disk does."""
        try:
            self.called(operation, path)
        except StorageFailure:
            self.fail_sync_in = 1
            with suppress(StorageFailure):
                sync()
            raise
        sync()

    def create(self, path: str) -> FaultyFile:  # type: ignore[override]
        self.called("create", path)
        return FaultyFile(self, super().create(path))

    def open(self, path: str) -> FaultyFile:  # type: ignore[override]
        self.called("open", path)
        return FaultyFile(self, super().open(path))

    def map(self, path: str) -> memoryview:
        self.called("map", path)
        return super().map(path)

    def rename(self, source: str, target: str) -> None:
        self.called("rename", target)
        super().rename(source, target)

    def link(self, source: str, target: str) -> None:
        self.called("link", target)
        super().link(source, target)

    def remove(self, path: str) -> None:
        self.called("remove", path)
        super().remove(path)

    def remove_gradually(self, path: str) -> None:
        self.called("remove_gradually", path)
        super().remove_gradually(path)

    def remove_directory(self, path: str) -> None:
        self.called("remove_directory", path)
        super().remove_directory(path)

    def list_directory(self, path: str) -> list[str]:
        self.called("list_directory", path)
        return super().list_directory(path)

    def exists(self, path: str) -> bool:
        self.called("exists", path)
        return super().exists(path)

    def sync_directory(self, path: str) -> None:
        self.sync_or_fail("sync_directory", path, lambda: SimFilesystem.sync_directory(self, path))

    def paths(self) -> list[str]:
        """The paths of all files."""
        return sorted(_files_below(self.disk.root, ""))

    def content(self, path: str) -> bytes:
        """The content that readers see."""
        return bytes(self._file("read", path).cache)

    def place(self, path: str, content: bytes) -> None:
        """Write a file durably, without the program."""
        inode = Inode()
        inode.cache, inode.disk = bytearray(content), bytearray(content)
        self.make_directory(path.rpartition("/")[0])
        directory, name = self._place(path)
        directory.seen[name] = directory.stable[name] = inode

    def erase(self, path: str) -> None:
        """Remove a file durably, without the program."""
        directory, name = self._place(path)
        del directory.seen[name]
        directory.stable.pop(name, None)

    def lose_power(self, seed: int) -> None:
        """Lose power; the seed chooses what is lost."""
        random = Random(seed)
        self.disk.lose_power(random.choice(list(PowerLoss)), random)


def _files_below(directory: Directory, prefix: str) -> list[str]:
    paths = []
    for name, node in directory.seen.items():
        paths += _files_below(node, f"{prefix}{name}/") if isinstance(node, Directory) else [prefix + name]
    return paths
