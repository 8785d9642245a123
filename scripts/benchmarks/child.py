"""Child processes for the limits and loads that the store is compared with."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory


@contextmanager
def child_process(work: Callable[..., None], *arguments: object) -> Iterator[int]:
    """Run `work` in a process of its own until the block ends; yields its process id."""
    child = multiprocessing.get_context("spawn").Process(target=_run, args=(work, arguments), daemon=True)
    child.start()
    assert child.pid is not None
    try:
        yield child.pid
    finally:
        child.kill()
        child.join()


@contextmanager
def endpoints(*names: str) -> Iterator[list[str]]:
    """Socket addresses in the temporary directory, since the path of a socket must be short."""
    with TemporaryDirectory(prefix="shardstore-bench-") as directory:
        yield [f"ipc://{directory}/{name}" for name in names]


def _run(work: Callable[..., None], arguments: tuple[object, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C, the parent leaves the block and kills this process
    work(*arguments)
