"""A file of JSON Lines: the content of a store as text, one object a line, in UTF-8.

    {"shardstore":"export","version":1}
    {"space":"visits","key":"Tuple(str, int)","value":"Json/1","together":false,"ttl_ms":0}
    {"key":["ada",1],"value":{"pages":7}}
    {"key":["ada",2],"value":{"pages":9},"expires_at":1798761600.5}
    {"end":2,"checksum":"0123456789abcdef"}

A section begins with its space; "" stands for the keys that belong to none. Its entries follow, in the order of their
keys. json_keys.py and json_values.py say how keys and values are shown. A value that is shown as it is stored is
"stored", in hexadecimal digits, instead of "value". `expires_at` is in seconds since the epoch, to the millisecond.

The last line has the number of entries, and the XXH3-64 of all lines before it. A file may be edited, or made by other
programs: if "checksum" is left out, it is not checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

import xxhash

from shardstore.errors import Corruption, InvalidRequest
from shardstore.exchange.content import (
    ExportEnd,
    ExportEntries,
    ExportSection,
    Placed,
    Value,
    check_entries,
    section_of,
    without_moment,
)
from shardstore.exchange.json_keys import STORED, JsonKeys
from shardstore.exchange.json_values import JsonValues, to_json
from shardstore.identifiers import Expiring
from shardstore.limits import MIB, MOMENT_MS_MAX

VERSION: Final = 1
LINE_BYTES_MAX: Final = 64 * MIB
"""The longest line: the largest value takes less, whatever it is made of."""
GROUP_ENTRIES: Final = 4096
GROUP_BYTES: Final = MIB
"""About as many entries, or lines of so many bytes, are read at a time."""
_MS = 1000


class JsonLinesWriter:
    """Writes a file of JSON Lines. `written`: the checksum of the lines that it has already; None: it has none."""

    def __init__(self, file: BinaryIO, written: xxhash.xxh3_64 | None = None) -> None:
        self._file = file
        self._checksum = written or xxhash.xxh3_64()
        self._keys = JsonKeys(ExportSection().key)
        self._values = JsonValues(ExportSection().value)
        if written is None:
            self._write([to_json({"shardstore": "export", "version": VERSION})])

    def section(self, section: ExportSection) -> None:
        """Begin a section."""
        self._keys, self._values = JsonKeys(section.key), JsonValues(section.value)
        self._write([to_json(_as_line(section))])

    def go_on(self, section: ExportSection) -> None:
        """Go on in a section whose beginning the file has already."""
        self._keys, self._values = JsonKeys(section.key), JsonValues(section.value)

    def entries(self, entries: ExportEntries) -> None:
        """Write entries of the latest section; at least one."""
        keys = map(to_json, map(self._keys.shown, entries.keys))
        values = list(map(without_moment, entries.values))
        shown = map(_member, self._values.shown(values), values)
        moments = map(_moment, entries.values)
        self._write(list(map('{{"key":{}{}{}}}'.format, keys, shown, moments)))

    def end(self, entries: int) -> None:
        """Write the last line of a file that has so many entries in all."""
        self._write([to_json({"end": entries, "checksum": self._checksum.hexdigest()})])

    def _write(self, lines: list[str]) -> None:
        data = "\n".join([*lines, ""]).encode()
        self._checksum.update(data)
        self._file.write(data)


def read_json_lines(file: BinaryIO, path: str) -> Iterator[Placed]:
    """Iterate over the pieces of a file of JSON Lines. Raises Corruption, also if it does not go on to its end."""
    reader = _Reader(file, path)
    first = reader.next_object()
    if first.get("shardstore") != "export":
        raise Corruption(path, 0, "this is no export: its first line is not that of one")
    if first.get("version") != VERSION:
        raise Corruption(path, 0, f"an export of version {first.get('version')!r:.20}; this program reads {VERSION}")
    yield from reader.pieces()


class _Reader:
    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file = file
        self._path = path
        self._checksum = xxhash.xxh3_64()
        self._line_at = self._offset = 0
        self._keys = JsonKeys(ExportSection().key)
        self._values = JsonValues(ExportSection().value)
        self._total = 0
        self._has_section = False

    def next_object(self) -> dict[str, Any]:
        """Read one line."""
        line = self._file.readline(LINE_BYTES_MAX)
        self._line_at = self._offset
        self._offset += len(line)
        if not line.endswith(b"\n"):
            raise self._flaw("the line is too long" if len(line) == LINE_BYTES_MAX else "the file ends here")
        try:
            read = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self._flaw(f"the line is no JSON: {error}") from None
        if not isinstance(read, dict):
            raise self._flaw("the line is no object")
        if "end" in read:
            self._check_end(read)
        self._checksum.update(line)
        return read

    def _check_end(self, read: dict[str, Any]) -> None:
        if read.keys() - {"end", "checksum"}:
            raise self._flaw("the line is no end: it has other members")
        digest = self._checksum.hexdigest()
        if read.get("checksum", digest) != digest:
            raise self._flaw("the checksum of the lines before does not match")

    def pieces(self) -> Iterator[Placed]:
        """Iterate over what follows the first line."""
        while True:
            group, behind, other = self._group()
            if group:
                yield Placed(self._entries(group), behind)
            if other is None:
                continue
            if "end" in other:
                if other["end"] != self._total or self._file.read(1):
                    raise self._flaw(
                        f"the end of {other['end']!r:.20} entries, after {self._total}, or not the last line"
                    )
                yield Placed(ExportEnd(self._total), self._offset)
                return
            yield Placed(self._section(other), self._offset)

    def _group(self) -> tuple[list[tuple[int, dict[str, Any]]], int, dict[str, Any] | None]:
        """Read lines of entries. Returns them with their offsets, where they end, and another line that follows."""
        group: list[tuple[int, dict[str, Any]]] = []
        begin = self._offset
        while len(group) < GROUP_ENTRIES and self._offset - begin < GROUP_BYTES:
            behind = self._offset
            read = self.next_object()
            if "end" in read or "space" in read:
                return group, behind, read
            group.append((self._line_at, read))
        return group, self._offset, None

    def _section(self, read: dict[str, Any]) -> ExportSection:
        fields = {"name": read.pop("space"), **read}
        section = section_of(fields, self._path, self._line_at)
        try:
            self._keys, self._values = JsonKeys(section.key), JsonValues(section.value)
        except InvalidRequest as error:
            raise self._flaw(str(error)) from None
        self._has_section = True
        return section

    def _entries(self, group: Sequence[tuple[int, dict[str, Any]]]) -> ExportEntries:
        if not self._has_section:
            raise Corruption(self._path, group[0][0], "an entry before the first space")
        read = [entry for _, entry in group]
        try:
            entries = self._read(read)
        except (ValueError, TypeError, KeyError):
            for at, entry in group:
                try:
                    self._read([entry])
                except (ValueError, TypeError, KeyError) as error:
                    raise Corruption(self._path, at, f"the line is no entry: {_why(error)}") from None
            raise
        self._total += len(read)
        check_entries(entries, self._path, group[0][0])
        return entries

    def _read(self, read: Sequence[dict[str, Any]]) -> ExportEntries:
        if not all(_MEMBERS.issuperset(entry) and ("value" in entry) != (STORED in entry) for entry in read):
            raise ValueError('it has "key", "value" or "stored", and perhaps "expires_at"')
        keys = [self._keys.stored(entry["key"]) for entry in read]
        by_codec = iter(self._values.stored([entry["value"] for entry in read if "value" in entry]))
        values: list[Value] = [next(by_codec) if "value" in entry else bytes.fromhex(entry[STORED]) for entry in read]
        for place, entry in enumerate(read):
            if "expires_at" in entry:
                values[place] = Expiring(_moment_of(entry["expires_at"]), without_moment(values[place]))
        return ExportEntries(keys, values)

    def _flaw(self, what: str) -> Corruption:
        return Corruption(self._path, self._line_at, what)


_MEMBERS = {"key", "value", STORED, "expires_at"}


def _as_line(section: ExportSection) -> dict[str, Any]:
    fields = section._asdict()
    return {"space": fields.pop("name"), **fields}


def _member(shown: str | None, value: bytes) -> str:
    return f',"stored":"{value.hex()}"' if shown is None else f',"value":{shown}'


def _moment(value: Value) -> str:
    return f',"expires_at":{value.moment / _MS!r}' if type(value) is Expiring else ""


def _moment_of(seconds: Any) -> int:
    if type(seconds) not in (int, float) or not 0 <= seconds <= MOMENT_MS_MAX / _MS:
        raise ValueError("expires_at is no number of seconds since the epoch")
    moment: int = round(seconds * _MS)
    return moment


def _why(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
