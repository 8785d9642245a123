"""Prints the output of commands, in UTF-8 whatever the locale. Output that cannot be written is an error.

A reader that closes a pipe early, as `head` does, has what it wanted: the command then ends silently, with the exit
code that a shell gives for SIGPIPE.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TextIO, cast

from click.exceptions import Exit

from shardstore.errors import StorageFailure

EXIT_CLOSED_PIPE = 141


class _Escapes(dict[int, str]):
    """Maps the code of a character to its printed form."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if not character.isprintable():
            character = "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
        self[code] = character
        return character


_ESCAPES = _Escapes({ord("\\"): "\\\\", ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"})


def say(text: str) -> None:
    """Print a line. Bytes of a path that are not UTF-8, which Python holds as surrogates, are printed unchanged."""
    say_bytes(text.encode("utf-8", "surrogateescape") + b"\n")


def say_bytes(data: bytes) -> None:
    """Print bytes unchanged. Raises StorageFailure if they cannot be written."""
    with _written() as output:
        output.write(data)


class _StandardOutput(io.RawIOBase):
    """The standard output as a file of bytes."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        say_bytes(data)
        return len(data)


def standard_output() -> BinaryIO:
    """Return the standard output as a file of bytes. Its `write` raises StorageFailure if they cannot be written."""
    return cast(BinaryIO, _StandardOutput())


def finish() -> None:
    """Flush all output. Raises StorageFailure if it cannot be written."""
    if sys.stdout is not None:
        with _written() as output:
            output.flush()


def complain(show: Callable[[], object]) -> None:
    """Call `show`, which writes to the standard error. If it cannot, the exit code alone reports the failure."""
    try:
        show()
    except OSError:
        _write_no_more(sys.stderr)


def one_line(data: bytes) -> str:
    """Return these bytes as one line of text. It is unambiguous: unprintable bytes become \\n, \\r, \\t or \\xNN."""
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
    """Redirect the stream to /dev/null: otherwise Python would try again to write its buffer at exit, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
