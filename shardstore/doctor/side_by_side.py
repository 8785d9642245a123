"""Does the checks of an examination in several processes at once; Python's threads would wait for each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from subprocess import Popen
from threading import Thread

from shardstore.doctor.checks import Check, decode_findings, encode, findings_of
from shardstore.doctor.findings import Finding
from shardstore.doctor.survey import Survey
from shardstore.errors import StorageFailure
from shardstore.limits import GIB
from shardstore.seams.filesystem import Filesystem
from shardstore.system.own_program import start_module

SMALL_BYTES = GIB
"""A store with less in its files is examined in this process, in less time than others take to start."""
PROGRAM = "shardstore.doctor"


def done_checks(
    filesystem: Filesystem, data: str, survey: Survey, checks: Sequence[Check], processes: int
) -> Iterator[tuple[Check, list[Finding]]]:
    """Do all checks, and return what each has found, in the order in which they end."""
    if processes < 2 or sum(check.bytes for check in checks) < SMALL_BYTES:
        yield from ((check, list(findings_of(filesystem, survey, check))) for check in checks)
        return
    ended: SimpleQueue[tuple[Check, bytes]] = SimpleQueue()
    shares = [share for at in range(processes) if (share := checks[at::processes])]
    children = [_Child(encode([data, survey.store]).decode(), share, ended) for share in shares]
    try:
        for _ in checks:
            check, line = ended.get()
            if not line:
                raise StorageFailure(f"the process that was to examine {check.file} died")
            yield check, decode_findings(line)
    finally:
        for child in children:
            child.end()


class _Child:
    """A process that does some checks; a thread puts the line of each into `ended`, empty if the process died."""

    def __init__(self, argument: str, share: Sequence[Check], ended: SimpleQueue[tuple[Check, bytes]]) -> None:
        self._process = start_module(PROGRAM, argument)
        self._reader = Thread(target=_collect, args=(self._process, share, ended), daemon=True)
        self._reader.start()

    def end(self) -> None:
        """End the process if it still runs."""
        self._process.kill()
        self._process.wait()
        self._reader.join()


def _collect(process: Popen[bytes], share: Sequence[Check], ended: SimpleQueue[tuple[Check, bytes]]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdout:
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(encode(share))
        for check in share:
            ended.put((check, process.stdout.readline()))
