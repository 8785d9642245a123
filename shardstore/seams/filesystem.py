"""Seam: the files of one store. Real form: posix_filesystem.py; simulated form: tests/simulation/sim_filesystem.py.

Both forms pass the same contract test (tests/unit/seams/test_filesystem_contract.py). Paths are relative to the root
directory of the filesystem, use "/" as separator, and come from file_names.py only. Files have mode 0600, directories
0700. Every call raises StorageFailure if the operating system refuses it (NotWritable if the disk is full or
read-only), except that a missing file raises FileNotFoundError and an existing one FileExistsError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shardstore.identifiers import Buffer


class File(Protocol):
    """An open file."""

    @property
    def path(self) -> str:
        """The path under which the file was opened."""

    def size(self) -> int:
        """Return the size of the file in bytes."""

    def append(self, buffers: Sequence[Buffer]) -> None:
        """Append all bytes to the file, without syncing it.

        If this raises, any prefix of the bytes may have been appended; `truncate` removes it.
        """

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to `length` bytes; fewer only at the end of the file."""

    def truncate(self, length: int) -> None:
        """Cut the file to `length` bytes."""

    def sync(self) -> None:
        """Put content and size on stable storage; for the name, see sync_directory. Thread-safe.

        A failure is final: every later call on this handle raises at once and syncs nothing. The real form also fails
        if the file was removed meanwhile, as its content could never be found again.
        """

    def drop_cache(self) -> None:
        """Drop clean pages from the system's cache, so that the next read comes from the disk."""

    def close(self) -> None:
        """Close the handle. Appended bytes stay."""


class Lock(Protocol):
    """An exclusive lock. It ends with `release` or with the process."""

    def release(self) -> None:
        """Release the lock."""


class Filesystem(Protocol):
    """The operations a store needs."""

    def create(self, path: str) -> File:
        """Create an empty file, open for appending and reading. Raises FileExistsError."""

    def open(self, path: str) -> File:
        """Open an existing file for reading. Raises FileNotFoundError."""

    def map(self, path: str) -> memoryview:
        """Map the whole file read-only; pages are loaded on demand. The map stays valid after the file is removed."""

    def rename(self, source: str, target: str) -> None:
        """Rename the file, replacing any file that has the new name; or a directory, to a name that nothing has."""

    def link(self, source: str, target: str) -> None:
        """Give the file a second, equal name, in any directory.

        Raises FileNotFoundError, FileExistsError, and StorageFailure, also if the filesystem does not support links.
        """

    def remove(self, path: str) -> None:
        """Remove a file's name. Raises FileNotFoundError."""

    def remove_gradually(self, path: str) -> None:
        """Remove a file's name; free its space later and in pieces, so that syncs of other files do not wait long.

        If power is lost before this is durable, the name may come back with only the beginning of the file. Raises
        FileNotFoundError.
        """

    def make_directory(self, path: str) -> None:
        """Create the directory and its missing parents, durably. No error if it exists."""

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory. Raises FileNotFoundError."""

    def list_directory(self, path: str) -> list[str]:
        """Return the names in a directory, sorted; none if the directory does not exist."""

    def exists(self, path: str) -> bool:
        """Whether a file or directory of that name exists."""

    def sync_directory(self, path: str) -> None:
        """Make all changes of names in the directory durable. A failure is final, as for File.sync."""

    def forget_failed_sync(self, path: str) -> None:
        """Let a directory be synced again whose sync failed.

        What was to be synced stays in doubt: the caller makes all names in the directory anew that matter to it.
        """

    def lock(self, path: str) -> Lock | None:
        """Lock the lock file, creating it if needed; None if another process holds it."""
