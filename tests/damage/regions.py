"""The parts of a file: where each part of its format lies, by kind of file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from shardstore.tables.table_format import FOOTER_BYTES, HEADER_BYTES
from shardstore.workers.wal.record_format import FILE_HEADER_BYTES, RECORD_HEADER_BYTES

_SECTIONS = ("block index", "hash index", "filter", "properties")


class Region(NamedTuple):
    """The bytes from `start` to `end` of a file, and what they hold."""

    what: str
    start: int
    end: int


def kind_of(path: str) -> str:
    """The kind of a file of the store."""
    name = path.rpartition("/")[2]
    return "log file" if name.startswith("wal-") else "table" if name.endswith(".sst") else name


def regions_of(path: str, content: bytes) -> list[Region]:
    """The parts of an undamaged file, in order and without gaps."""
    kind = kind_of(path)
    parse = {"log file": _of_log, "table": _of_table}.get(kind, _of_document)
    return [region for region in parse(content) if region.start < region.end]


def _of_document(content: bytes) -> Iterator[Region]:
    ends = {"magic": 8, "version": 12, "length": 16, "checksum": 24, "body": len(content)}
    start = 0
    for what, end in ends.items():
        yield Region(what, start, end)
        start = end


def _of_log(content: bytes) -> Iterator[Region]:
    yield Region("file header", 0, FILE_HEADER_BYTES)
    at = FILE_HEADER_BYTES
    while at < len(content):
        payload = sum(struct.unpack_from("<II", content, at + 12))
        begin = at + RECORD_HEADER_BYTES
        yield Region("lengths of a record", at + 12, at + 20)
        yield Region("header of a record", at, begin)
        yield Region("payload of a record", begin, begin + payload)
        at = begin + payload


def _of_table(content: bytes) -> Iterator[Region]:
    footer = len(content) - FOOTER_BYTES
    numbers = struct.unpack_from("<12Q", content, footer)
    starts = numbers[0::3]
    yield Region("header", 0, HEADER_BYTES)
    yield Region("blocks", HEADER_BYTES, starts[0])
    for what, start, length in zip(_SECTIONS, starts, numbers[1::3], strict=True):
        yield Region(what, start, start + length)
    yield Region("footer", footer, len(content))
