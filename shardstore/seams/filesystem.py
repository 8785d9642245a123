"""Seam: the files of one store. Real form: posix_filesystem.py; simulated form: tests/simulation/sim_filesystem.py.

Both forms pass the same contract test (tests/unit/seams/test_filesystem_contract.py). Paths are relative to the root
the filesystem was opened on, with "/" between parts, and are made by file_names.py only. Files are 0600, directories
0700. Every call raises StorageFailure for what the operating system refuses (NotWritable when space ran out, or the
disk is read-only), and FileNotFoundError / FileExistsError for these two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shardstore.identifiers import Buffer


class File(Protocol):
    """An open file."""

    @property
    def path(self) -> str:
        """The path it was opened under."""

    def size(self) -> int:
        """Bytes in the file."""

    def append(self, buffers: Sequence[Buffer]) -> None:
        """Hand all bytes to the operating system, at the end of the file.

        When it raises, any prefix of the bytes may be there: cut back with `truncate`.
        """

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes; fewer only at the end of the file."""

    def truncate(self, length: int) -> None:
        """Cut the file to `length` bytes."""

    def sync(self) -> None:
        """Put content and size on stable storage (not the name: see sync_directory). Thread-safe.

        A failure is final: every later call on this handle raises at once and syncs nothing. The real form also fails
        for a file that was removed meanwhile: nobody would find again what it holds.
        """

    def drop_cache(self) -> None:
        """Forget clean cached pages, so that the next read comes from the disk."""

    def close(self) -> None:
        """Release the handle; bytes handed over stay."""


class Lock(Protocol):
    """An exclusive hold that ends with `release` or with the process."""

    def release(self) -> None:
        """Let go."""


class Filesystem(Protocol):
    """The operations a store needs."""

    def create(self, path: str) -> File:
        """A new, empty file, open for append and read. Raises FileExistsError."""

    def open(self, path: str) -> File:
        """An existing file for reading. Raises FileNotFoundError."""

    def map(self, path: str) -> memoryview:
        """The whole content, read-only, loaded on demand; stays valid after the file is removed."""

    def rename(self, source: str, target: str) -> None:
        """Give the file another name, replacing a file of that name."""

    def link(self, source: str, target: str) -> None:
        """Give the file a second name, in any directory: from then on the names are equals.

        Raises FileNotFoundError, FileExistsError, and StorageFailure also where linking as such is refused.
        """

    def remove(self, path: str) -> None:
        """Remove a file's name. Raises FileNotFoundError."""

    def remove_gradually(self, path: str) -> None:
        """Remove a file's name; what it holds goes later and in pieces, so that no other file's sync waits for long.

        When power is lost before this is durable, the name may come back with only the beginning of the file. Raises
        FileNotFoundError.
        """

    def make_directory(self, path: str) -> None:
        """Make the directory and its missing parents; no error when it is there. Names become durable."""

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory. Raises FileNotFoundError."""

    def list_directory(self, path: str) -> list[str]:
        """Names in a directory, sorted; empty when there is no such directory."""

    def exists(self, path: str) -> bool:
        """Whether a file or directory of that name is there."""

    def sync_directory(self, path: str) -> None:
        """Make all changes of names in the directory durable. A failure is final, as for File.sync."""

    def lock(self, path: str) -> Lock | None:
        """Take the lock file, creating it; None when another process holds it."""
