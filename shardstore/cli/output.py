"""What a command prints: bytes, in UTF-8 whatever the locale, and an error where nobody can take them.

Who reads through a pipe and closes it early, as `head` does, has what it wanted: the command ends quietly, with the
exit code that a shell gives to SIGPIPE.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, TextIO

from click.exceptions import Exit

from shardstore.errors import StorageFailure

EXIT_CLOSED_PIPE = 141


class _Escapes(dict[int, str]):
    """What is printed for a character, by its code."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if not character.isprintable():
            character = "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
        self[code] = character
        return character


_ESCAPES = _Escapes({ord("\\"): "\\\\", ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"})


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


def complain(show: Callable[[], object]) -> None:
    """Let `show` write to the standard error. If that takes nothing, the exit code says all that can be said."""
    try:
        show()
    except OSError:
        _write_no_more(sys.stderr)


def one_line(data: bytes) -> str:
    """Text in one line that stands for these bytes and no others: what cannot be printed is \\n, \\r, \\t or \\xNN."""
    text = data.decode("utf-8", "surrogateescape")
    if text.isprintable() and "\\" not in text:
        return text
    return text.translate(_ESCAPES)


@contextmanager
def _written() -> Iterator[BinaryIO]:
    if sys.stdout is None:
        raise StorageFailure("the answer cannot be written: the standard output is closed")
    try:
        yield sys.stdout.buffer
    except BrokenPipeError:
        _write_no_more(sys.stdout)
        raise Exit(EXIT_CLOSED_PIPE) from None
    except OSError as error:
        _write_no_more(sys.stdout)
        raise StorageFailure(f"the answer cannot be written to the standard output: {error.strerror}") from None


def _write_no_more(stream: TextIO) -> None:
    """What is still buffered goes nowhere: Python would try once more at its end, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
