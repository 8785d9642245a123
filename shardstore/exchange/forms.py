"""The forms that a file of an export can have, and which one it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, Protocol

import xxhash

from shardstore.errors import InvalidRequest
from shardstore.exchange import bundle
from shardstore.exchange.bundle import BundleWriter, read_bundle
from shardstore.exchange.content import ExportEntries, ExportSection, Placed
from shardstore.exchange.json_lines import JsonLinesWriter, read_json_lines
from shardstore.limits import MIB

JSON: Final = "json"
BUNDLE: Final = "bundle"
PARQUET: Final = "parquet"
SUFFIXES: Final = {
    ".jsonl": JSON,
    ".ndjson": JSON,
    ".json": JSON,
    ".bundle": BUNDLE,
    ".parquet": PARQUET,
}


START_BYTES: Final = len(bundle.MAGIC)


class Writer(Protocol):
    """Writes the pieces of a file."""

    def section(self, section: ExportSection) -> None:
        """Begin a section."""

    def go_on(self, section: ExportSection) -> None:
        """Go on in a section whose beginning the file has already."""

    def entries(self, entries: ExportEntries) -> None:
        """Write entries of the latest section; at least one."""

    def end(self, entries: int) -> None:
        """Write the end of a file that has so many entries in all."""


READERS: Final[dict[str, Callable[[BinaryIO, str], Iterator[Placed]]]] = {JSON: read_json_lines, BUNDLE: read_bundle}


def form_named(path: str) -> str:
    """Return the form that the name of a file stands for. Raises InvalidRequest."""
    form = next((form for suffix, form in SUFFIXES.items() if path.lower().endswith(suffix)), None)
    if form is None:
        known = ", ".join(SUFFIXES)
        raise InvalidRequest(f"{path!r} does not say which form it has: let it end with one of {known}, or give --form")
    return form


def form_begun_by(start: bytes) -> str:
    """Return the form of a file that begins with these START_BYTES bytes."""
    if start == bundle.MAGIC:
        return BUNDLE
    return PARQUET if start.startswith(b"PAR1") else JSON


def writer_of(form: str, file: BinaryIO, offset: int = 0) -> Writer:
    """Return what writes a file of a form; of a file that has `offset` bytes already, what goes on behind them."""
    if form == BUNDLE:
        return BundleWriter(file, offset)
    if not offset:
        return JsonLinesWriter(file)
    written = xxhash.xxh3_64()
    file.seek(0)
    while file.tell() < offset:
        written.update(file.read(min(MIB, offset - file.tell())))
    return JsonLinesWriter(file, written)
