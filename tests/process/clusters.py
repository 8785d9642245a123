"""Real clusters for tests, in this process or as a separate program whose supervisor can be killed too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

import psutil

from shardstore import Client, LocalCluster, OutcomeUnknown, ShardstoreError, Unavailable
from shardstore.access.key_store import KeyStore, has_keys
from shardstore.client_role import ClientRole
from shardstore.cluster.runtime_directory import remove_runtime_directory
from shardstore.files.file_names import STORE
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.system.running_cluster import KEY_VARIABLE, last_announced
from tests.process.deadlines import wait_until

MEMORY = "192MiB"
RANGES = 8


class KeyedCluster(LocalCluster):
    """A cluster whose `connect` goes over tcp, with the key of an admin, which SHARDSTORE_KEY names while it runs."""

    def __init__(self, data: Path, **settings: Any) -> None:
        self._key = f"{data}.key"
        if not has_keys(str(data)):
            store = KeyStore(PosixFilesystem(str(data)), str(data), os.urandom)
            store.add("tests", ClientRole.ADMIN, self._key)
        super().__init__(data, listen="tcp://127.0.0.1:0", **settings)

    def start(self) -> Self:
        """Start all processes, and let clients of this program use the key."""
        os.environ[KEY_VARIABLE] = self._key
        return super().start()

    def _where(self) -> str:
        return self.url


kinds: list[type[LocalCluster]] = [LocalCluster]
"""What `cluster_on` makes: the last one. The fixture `reached` (conftest.py) adds KeyedCluster."""


def cluster_on(data: Path, ranges: int = RANGES, workers: int = 2) -> LocalCluster:
    """A small cluster in this process. In a new store each worker owns ranges from the start."""
    is_new = not (data / STORE).exists()
    return kinds[-1](data, workers=workers, memory=MEMORY, ranges=ranges if is_new else None)


@contextmanager
def served(data: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `shardstore serve` on a directory; killed at the end if it still runs."""
    command = [sys.executable, "-m", "shardstore", "serve", "--data", str(data), "--memory", MEMORY]
    is_new = not (data / STORE).exists()
    command += [*(["--ranges", str(RANGES)] if is_new else []), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: last_announced(data) is not None or process.poll() is not None, "readiness", 60)
        assert process.poll() is None, process.stdout and process.stdout.read()
        yield process
    finally:
        end(process, data)


def end(supervisor: subprocess.Popen[bytes], data: Path) -> None:
    """Kill a supervisor that may still run, and remove the files that its successor would have removed."""
    left = last_announced(data)
    supervisor.kill()
    supervisor.communicate(timeout=20)
    if left is not None:
        remove_runtime_directory(left.runtime_directory)


def descendants(pid: int) -> list[psutil.Process]:
    """All descendants of this process."""
    return psutil.Process(pid).children(recursive=True)


def kill(pid: int) -> None:
    """Send SIGKILL to the process."""
    os.kill(pid, signal.SIGKILL)


def kill_all(pids: Iterable[int]) -> None:
    """Send SIGKILL to each process that has not ended already."""
    for pid in pids:
        with suppress(ProcessLookupError):
            kill(pid)


class Writer:
    """Writes ascending numbers in batches in a thread, and remembers which were acknowledged."""

    BATCH = 200

    def __init__(self, db: Client) -> None:
        self._db = db
        self._stopped = Event()
        self._thread = Thread(target=self._write, daemon=True)
        self.acknowledged = 0
        """All numbers below this one were acknowledged."""
        self.unserved = 0
        """The number of calls that ended with Unavailable or OutcomeUnknown."""
        self.failure: ShardstoreError | None = None
        self._thread.start()

    def wait_for_more(self, batches: int = 10) -> None:
        """Wait until `batches` more batches are acknowledged."""
        goal = self.acknowledged + batches * self.BATCH
        wait_until(lambda: self.acknowledged >= goal or self.failure is not None, f"{batches} more batches", 60)
        assert self.failure is None, self.failure

    def stop(self) -> None:
        """Stop after the current batch."""
        self._stopped.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def check(self, db: Client) -> None:
        """Check that every acknowledged number is read with its value, by gets and by a scan."""
        numbers = range(self.acknowledged)
        keys = list(map(key_of, numbers))
        expected = list(map(value_of, numbers))
        assert db.get_many(keys, timeout=60) == expected
        scanned = dict(db.scan(timeout=60))
        assert list(scanned) == sorted(scanned)
        assert list(map(scanned.get, keys)) == expected

    def _write(self) -> None:
        while not self._stopped.is_set():
            numbers = range(self.acknowledged, self.acknowledged + self.BATCH)
            try:
                self._db.put_many([(key_of(number), value_of(number)) for number in numbers], timeout=60)
            except (Unavailable, OutcomeUnknown):
                self.unserved += 1
                continue  # allowed while a process is down; the same numbers are written again
            except ShardstoreError as error:
                self.failure = error
                return
            self.acknowledged = numbers.stop


def key_of(number: int) -> bytes:
    """The key of a number; keys are spread over all ranges."""
    return b"%08x" % (number * 0x9E3779B1 % 2**32) + b"-%d" % number


def value_of(number: int) -> bytes:
    """The value of a number, different for each."""
    return b"value of %d" % number
