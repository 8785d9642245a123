"""What a command prints: bytes, in UTF-8 whatever the locale, and an error where nobody can take them.

Who reads through a pipe and closes it early, as `head` does, has what it wanted: the command ends quietly, with the
exit code that a shell gives to SIGPIPE.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from click.exceptions import Exit

from shardstore.errors import StorageFailure

EXIT_CLOSED_PIPE = 141


def say(text: str) -> None:
    """Print a line. What Python made of bytes that are no text, in a path, is printed as these bytes."""
    say_bytes(text.encode("utf-8", "surrogateescape") + b"\n")


def say_bytes(data: bytes) -> None:
    """Print bytes as they are. Raises StorageFailure when they cannot be written."""
    with _written() as output:
        output.write(data)


def finish() -> None:
    """Hand over all that was printed. Raises StorageFailure when it cannot be written."""
    if sys.stdout is not None:
        with _written() as output:
            output.flush()


@contextmanager
def _written() -> Iterator[BinaryIO]:
    if sys.stdout is None:
        raise StorageFailure("the answer cannot be written: the standard output is closed")
    try:
        yield sys.stdout.buffer
    except BrokenPipeError:
        _write_no_more()
        raise Exit(EXIT_CLOSED_PIPE) from None
    except OSError as error:
        _write_no_more()
        raise StorageFailure(f"the answer cannot be written to the standard output: {error.strerror}") from None


def _write_no_more() -> None:
    """What is still buffered goes nowhere: Python would try once more at its end, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
