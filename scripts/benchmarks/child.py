"""Processes that the measured ones are held against."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory


@contextmanager
def child_process(work: Callable[..., None], *arguments: object) -> Iterator[None]:
    """`work` in a process of its own, which ends with the block."""
    child = multiprocessing.get_context("spawn").Process(target=_run, args=(work, arguments), daemon=True)
    child.start()
    try:
        yield
    finally:
        child.kill()
        child.join()


@contextmanager
def endpoints(*names: str) -> Iterator[list[str]]:
    """Where processes can meet; in the temporary directory, as the path of a socket may not be long."""
    with TemporaryDirectory(prefix="shardstore-bench-") as directory:
        yield [f"ipc://{directory}/{name}" for name in names]


def _run(work: Callable[..., None], arguments: tuple[object, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C, the end of the block ends this process
    work(*arguments)
