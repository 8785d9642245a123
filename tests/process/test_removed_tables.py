"""A table file that another process has mapped stays whole when it is removed: that process could not survive a cut."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from shardstore.system import posix_filesystem
from shardstore.system.posix_filesystem import REMOVED_AT_ONCE_BYTES, PosixFilesystem

NAME = "table"
SIZE = 4 * REMOVED_AT_ONCE_BYTES
READER = f"""
import sys
from shardstore.system.posix_filesystem import PosixFilesystem

mapped = PosixFilesystem(sys.argv[1]).map({NAME!r})
print("mapped", flush=True)
sys.stdin.readline()
print(mapped.tobytes().count(b"x"), flush=True)
"""


@pytest.fixture
def filesystem(tmp_path: Path) -> PosixFilesystem:
    filesystem = PosixFilesystem(str(tmp_path))
    file = filesystem.create(NAME)
    file.append([b"x" * SIZE])
    file.close()
    return filesystem


@pytest.fixture
def reader(filesystem: PosixFilesystem, tmp_path: Path) -> Iterator[Popen[str]]:
    """A process that has mapped the file."""
    with subprocess.Popen([sys.executable, "-c", READER, tmp_path], stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "mapped\n"
        yield process
        process.kill()


def remove(filesystem: PosixFilesystem) -> None:
    """Remove the file, and wait until its space is free as far as it will be."""
    filesystem.remove_gradually(NAME)
    for thread in threading.enumerate():
        if thread.name == "remove files":
            thread.join()


@pytest.mark.fault("G8")
def test_a_mapped_file_is_never_cut(filesystem: PosixFilesystem, reader: Popen[str]) -> None:
    remove(filesystem)
    assert not filesystem.exists(NAME)
    assert reader.communicate("\n")[0] == f"{SIZE}\n"
    assert reader.returncode == 0


def test_a_cut_without_the_lock_would_kill_the_reader(
    filesystem: PosixFilesystem, reader: Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posix_filesystem, "_try_exclusive", lambda descriptor: True)
    remove(filesystem)
    assert reader.communicate("\n")[0] == ""
    assert reader.returncode == -signal.SIGBUS
