"""A client that is stopped before it reads does not block others, and continues when it is resumed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from shardstore import LocalCluster

pytestmark = pytest.mark.slow

KEYS = [b"%d" % number for number in range(100)]
VALUE = b"x" * 100_000
READERS = 4
PROGRAM = """
import asyncio, sys, shardstore
keys = [b"%d" % number for number in range(100)]
async def main():
    db = await shardstore.connect_async(sys.argv[1], direct=sys.argv[2] == "direct")
    print("begins", flush=True)
    while True:
        for values in await asyncio.gather(*[db.get_many(keys, timeout=120) for _ in range(8)]):
            assert values == [b"x" * 100_000] * 100
        print("round", flush=True)
asyncio.run(main())
"""


class Reader:
    """A process that repeatedly reads eight times ten megabytes."""

    def __init__(self, url: str, way: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", PROGRAM, url, way], stdout=subprocess.PIPE, text=True)

    def says(self, word: str) -> bool:
        """Wait for the next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip() == word


@contextmanager
def readers(url: str, way: str) -> Iterator[list[Reader]]:
    with ExitStack() as stack:
        started = [Reader(url, way) for _ in range(READERS)]
        for reader in started:
            stack.enter_context(reader.process)
            stack.callback(reader.process.kill)
        for reader in started:
            assert reader.says("begins")
        yield started


@pytest.mark.fault("C5")
@pytest.mark.parametrize("way", ["direct", "through the router"])
def test_stopped_readers_keep_nobody_from_reading_and_go_on_later(tmp_path: Path, way: str) -> None:
    with LocalCluster(tmp_path, workers=2, memory="192MiB", durability="async") as cluster:
        db = cluster.connect()
        db.put_many(dict.fromkeys(KEYS, VALUE))
        with readers(cluster.url, way) as started:
            for reader in started:
                reader.process.send_signal(signal.SIGSTOP)
            for key in KEYS * 3:
                assert db.get(key, timeout=60) == VALUE
            for reader in started:
                reader.process.send_signal(signal.SIGCONT)
            for reader in started:
                assert reader.says("round")
