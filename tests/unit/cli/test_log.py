"""The log of `serve`, with a reader that stops reading."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from typing import TextIO

import pytest

from shardstore.cli.log import PatientLog

PIPE_BYTES = 4096
F_SETPIPE_SZ = 1031


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """A pipe with a small buffer."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, PIPE_BYTES)
    with open(writer, "w") as output:
        yield reader, output


def record(words: str) -> logging.LogRecord:
    return logging.LogRecord("shardstore", logging.INFO, "", 0, words, None, None)


def test_who_stops_reading_keeps_nobody_waiting_and_is_told_what_was_left_out(pipe: tuple[int, TextIO]) -> None:
    reader, output = pipe
    patient = PatientLog(output, lines_max=10)
    for number in range(100):
        patient.emit(record(f"{number:03d} " + "." * 1000))
    lines: list[str] = []
    with open(reader) as read:
        while len(lines) < 10:
            lines.append(read.readline())
        patient.emit(record("again"))
        while not lines[-1].startswith("again"):
            lines.append(read.readline())
    numbers = [int(line[:3]) for line in lines if "..." in line]
    told = [line for line in lines if "were left out here" in line]
    assert numbers == sorted(set(numbers))
    assert sum(int(line.split()[0]) for line in told) == 100 - len(numbers)
    patient.close()


@pytest.mark.parametrize("output", ["none", "closed"])
def test_lines_that_nobody_can_take_go_nowhere(output: str, pipe: tuple[int, TextIO]) -> None:
    reader, closed = pipe
    os.close(reader)
    patient = PatientLog(None if output == "none" else closed)
    for _ in range(3):
        patient.emit(record("x" * PIPE_BYTES))
    patient.close()
