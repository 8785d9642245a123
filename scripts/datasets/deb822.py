"""Paragraphs of Debian control files: `control`, `Packages`, `Sources`, `/var/lib/dpkg/status`.

Package: adduser          a field: name, colon, value; names are not case-sensitive
Description: add users
 This package ...         a line that begins with a space or a tab continues the previous field
# why                     a comment
                          an empty line, or one of white space alone, ends the paragraph
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import BinaryIO, TypeAlias

from datasets.records import KEY_SEPARATOR, BadRecord, NoRecord, Place, Record, Records, checked, encoded, lines_of
from shardstore.limits import VALUE_BYTES_MAX

_Line: TypeAlias = tuple[Place, bytes]
_NAME = re.compile(rb"[!-9;-~]+")
"""Printable ASCII except the colon. The first byte cannot be # (a comment) or - (a signature)."""


def read_deb822(file: BinaryIO, start: Place, *, key: Sequence[str], prefix: str = "") -> Records:
    """The records of a file. Values are the bytes of paragraphs; keys are the named fields joined by colons."""
    names = [encoded(name).lower() for name in key]
    before = encoded(prefix)
    for blank, lines in groupby(lines_of(file, start), lambda line: not line[1].strip()):
        if not blank:
            yield from _record(lines, names, before)


def _record(lines: Iterable[_Line], names: Sequence[bytes], before: bytes) -> Iterator[Record | BadRecord]:
    """The record of one paragraph; none if it contains only comments."""
    kept, end = _bounded(lines)
    first = kept[0][0].line
    content = b"".join(line for _, line in kept)
    try:
        # A paragraph that is too long to be stored is not parsed.
        fields = _fields(kept) if len(content) <= VALUE_BYTES_MAX else None
        if fields is None:
            yield checked(first, end, b"unknown", content)
        elif fields:
            yield checked(first, end, before + _key(fields, names), content)
    except NoRecord as why:
        yield BadRecord(why.line or first, end, str(why))


def _bounded(lines: Iterable[_Line]) -> tuple[list[_Line], Place]:
    """The lines of a paragraph and the place after it. If it is too long, only enough lines to show that."""
    kept: list[_Line] = []
    kept_bytes = 0
    end = Place()
    for end, line in lines:
        if kept_bytes <= VALUE_BYTES_MAX:
            kept.append((end, line))
            kept_bytes += len(line)
    return kept, end


def _fields(lines: Sequence[_Line]) -> dict[bytes, bytes]:
    """The values of the fields by name, without continuation lines."""
    fields: dict[bytes, bytes] = {}
    for (_, number), line in lines:
        if line.startswith(b"#"):
            continue
        if line[:1] in (b" ", b"\t"):
            if not fields:
                raise NoRecord("the line continues a field, but there is no field before it", number)
            continue
        name, colon, value = line.partition(b":")
        if not colon or line.startswith(b"-") or not _NAME.fullmatch(name):
            raise NoRecord("the line is neither a field with a colon, nor a continuation, nor a comment", number)
        if name.lower() in fields:
            raise NoRecord(f"the field {name.decode()} occurs twice", number)
        fields[name.lower()] = value.strip()
    return fields


def _key(fields: dict[bytes, bytes], names: Sequence[bytes]) -> bytes:
    for name in names:
        if not fields.get(name):
            raise NoRecord(
                f"the field {name.decode('utf-8', 'backslashreplace')} is " + ("empty" if name in fields else "missing")
            )
    return KEY_SEPARATOR.encode().join(map(fields.__getitem__, names))
