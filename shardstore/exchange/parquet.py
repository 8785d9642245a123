"""A file of Parquet: one section as a table, for the programs that analyse data. It is read and written by pyarrow.

    keys                    columns                      type
    Bytes(), Str(), Int()   key                          binary, string, int64
    Uuid()                  key                          fixed_size_binary(16)
    Tuple(str, int, ...)    key_0, key_1, ...            by position, as above; float: double, bool, date: date32,
                                                         datetime: timestamp[us, UTC]; with "| None" it may be null
    others                  key                          string: the key as JSON (json_keys.py)

    values                  column value
    Raw, Str, Int, Float    binary, string, int64, double
    others                  string: the value as JSON (json_values.py); null if it has no such form
    stored                  binary: the value as it is stored, where `value` is null
    expires_at              timestamp[ms, UTC]; null: the value does not expire

The metadata of the schema has the section (content.py) as JSON, under the key "shardstore". Pages have checksums.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from shardstore import keys, values
from shardstore.errors import Corruption, InvalidRequest, StorageFailure, UndecodableKey
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
from shardstore.exchange.exporting import Report, give_name, new_file, pages, refusals_of
from shardstore.exchange.json_keys import JsonKeys
from shardstore.exchange.json_values import JsonValues, to_json
from shardstore.exchange.sections import Source
from shardstore.identifiers import Expiring
from shardstore.limits import MIB

if TYPE_CHECKING:
    import pyarrow as pa

    from shardstore.client.blocking.client import Client

METADATA_KEY: Final = b"shardstore"
GROUP_ENTRIES: Final = 65_536
GROUP_BYTES: Final = 64 * MIB
_PLAIN_KEYS = {"Bytes()": "bytes", "Str()": "str", "Int()": "int", "Uuid()": "UUID"}
_PLAIN_VALUES = {"Raw/1": "bytes", "Str/1": "str", "Int/1": "int", "Float/1": "float"}
_POSITIONS = {"bytes", "str", "int", "float", "bool", "UUID", "date", "datetime"}


def write(db: Client, path: str, sources: Sequence[Source], timeout: float | None, report: Report) -> int:
    """Write a section of a store into a file. Returns how many entries it has. Raises InvalidRequest."""
    pyarrow, parquet = _pyarrow()
    if len(sources) != 1:
        raise InvalidRequest("a file of Parquet has one space: name it with --space, or --space '' for keys of none")
    columns = _SectionColumns(pyarrow, sources[0].section)
    total, part = 0, new_file(path) + ".part"
    with refusals_of(part), parquet.ParquetWriter(part, columns.schema, write_page_checksum=True) as writer:
        for group in _groups(pages(db, sources[0].prefix, sources[0].key_range, timeout)):
            writer.write_table(columns.table(group))
            total += len(group.keys)
            report(len(group.keys))
    give_name(part, path)
    return total


def read(path: str) -> Iterator[Placed]:
    """Iterate over the pieces of a file; places are numbers of row groups. Raises Corruption."""
    pyarrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            metadata = (file.schema_arrow.metadata or {}).get(METADATA_KEY, b"null")
            section = section_of(json.loads(metadata), path, 0)
            columns, total = _SectionColumns(pyarrow, section), 0
            if not columns.schema.equals(file.schema_arrow):
                raise Corruption(path, 0, "its columns are not those of its section")
            yield Placed(section, 0)
            for number in range(file.num_row_groups):
                entries = columns.entries(file.read_row_group(number))
                check_entries(entries, path, number)
                total += len(entries.keys)
                yield Placed(entries, number + 1)
            yield Placed(ExportEnd(total), file.num_row_groups)
    except (pyarrow.ArrowException, ValueError, InvalidRequest, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise StorageFailure(f"{path!r}: {os.strerror(error.errno)}") from None
        raise Corruption(path, 0, f"this is no file of an export, or it is damaged: {error}") from None


class _SectionColumns:
    """The columns of a section."""

    def __init__(self, pyarrow: Any, section: ExportSection) -> None:
        self._pyarrow = pyarrow
        self._types = {
            "bytes": pyarrow.binary(),
            "str": pyarrow.string(),
            "int": pyarrow.int64(),
            "float": pyarrow.float64(),
            "bool": pyarrow.bool_(),
            "UUID": pyarrow.binary(16),
            "date": pyarrow.date32(),
            "datetime": pyarrow.timestamp("us", tz="UTC"),
        }
        self._keys = JsonKeys(section.key)
        self._values = JsonValues(section.value)
        self._key_type = keys.from_description(section.key)
        self._positions = _positions_of(section.key)
        self._value_kind = _PLAIN_VALUES.get(section.value, "")
        self._codec = values.from_description(section.value) if self._value_kind else None
        fields = [
            *self._key_fields(section.key),
            pyarrow.field("value", self._types[self._value_kind or "str"]),
            pyarrow.field("stored", pyarrow.binary()),
            pyarrow.field("expires_at", pyarrow.timestamp("ms", tz="UTC")),
        ]
        self.schema = pyarrow.schema(fields, metadata={METADATA_KEY: to_json(section._asdict()).encode()})

    def table(self, entries: ExportEntries) -> pa.Table:
        """Return entries as a table. Raises InvalidRequest for what the columns cannot hold."""
        moments = [value.moment if type(value) is Expiring else None for value in entries.values]
        stored = list(map(without_moment, entries.values))
        shown = self._shown(stored)
        left = [None if has else value for has, value in zip(map(_is_there, shown), stored, strict=True)]
        columns = [*self._key_columns(entries.keys), shown, left, moments]
        try:
            arrays = [self._pyarrow.array(each, field.type) for each, field in zip(columns, self.schema, strict=True)]
        except (self._pyarrow.ArrowException, OverflowError) as error:
            raise InvalidRequest(f"Parquet cannot hold this, JSON Lines can: {error}") from None
        return self._pyarrow.Table.from_arrays(arrays, schema=self.schema)

    def entries(self, table: pa.Table) -> ExportEntries:
        """Return the entries in a table. Raises ValueError or InvalidRequest."""
        *key_columns, shown, stored = [column.to_pylist() for column in table.columns[:-1]]
        by_codec = iter(self._encoded([value for value in shown if value is not None]))
        found: list[Value] = [next(by_codec) if value is not None else stored[at] for at, value in enumerate(shown)]
        if not all(type(value) is bytes for value in found):
            raise ValueError("a row without a value")
        moments = table.column("expires_at").cast(self._pyarrow.int64()).to_pylist()
        for at, moment in enumerate(moments):
            if moment is not None:
                found[at] = Expiring(moment, without_moment(found[at]))
        return ExportEntries(self._keys_of(key_columns), found)

    def _key_fields(self, description: str) -> list[Any]:
        if description in _PLAIN_KEYS:
            return [self._pyarrow.field("key", self._types[_PLAIN_KEYS[description]])]
        if not self._positions:
            return [self._pyarrow.field("key", self._pyarrow.string())]
        kinds = (position.removesuffix(" | None") for position in self._positions)
        return [self._pyarrow.field(f"key_{at}", self._types[kind]) for at, kind in enumerate(kinds)]

    def _key_columns(self, stored: Sequence[bytes]) -> list[Sequence[Any]]:
        if self._key_fields_are_json:
            return [[to_json(self._keys.shown(key)) for key in stored]]
        try:
            decoded = self._key_type.decode_many(list(stored))
        except UndecodableKey as error:
            raise InvalidRequest(f"Parquet cannot hold this key, JSON Lines can: {error}") from None
        rows = decoded if self._positions else [(key,) for key in decoded]
        return [list(map(_plain, column)) for column in zip(*rows, strict=True)]

    def _keys_of(self, columns: Sequence[Sequence[Any]]) -> list[bytes]:
        if self._key_fields_are_json:
            return [self._keys.stored(json.loads(key)) for key in columns[0]]
        kinds = [each.removesuffix(" | None") for each in self._positions] or [_PLAIN_KEYS[self._key_type.description]]
        typed = [
            [None if each is None else UUID(bytes=each) for each in column] if kind == "UUID" else column
            for column, kind in zip(columns, kinds, strict=True)
        ]
        rows: Sequence[Any] = list(zip(*typed, strict=True)) if self._positions else typed[0]
        return self._key_type.encode_many(rows)

    @property
    def _key_fields_are_json(self) -> bool:
        return not self._positions and self._key_type.description not in _PLAIN_KEYS

    def _shown(self, stored: Sequence[bytes]) -> list[Any]:
        if self._codec is None:
            return list(self._values.shown(stored))
        try:
            return list(self._codec.decode_many(stored))
        except ValueError:
            return [None] * len(stored)

    def _encoded(self, shown: Sequence[Any]) -> list[bytes]:
        if self._codec is None:
            return self._values.stored(list(map(json.loads, shown)))
        return self._codec.encode_many(shown)


def _positions_of(description: str) -> list[str]:
    """Return the types of the positions of tuple keys, if each has a column; else none."""
    if not description.startswith("Tuple("):
        return []
    positions = description.removeprefix("Tuple(").removesuffix(")").split(", ")
    return positions if all(each.removesuffix(" | None") in _POSITIONS for each in positions) else []


def _groups(read: Iterator[ExportEntries]) -> Iterator[ExportEntries]:
    """Put pages together into row groups, each of the size of GROUP_ENTRIES or GROUP_BYTES, but for the last one."""
    found: list[bytes] = []
    held: list[Value] = []
    held_bytes = 0
    for page in read:
        found += page.keys
        held += page.values
        held_bytes += sum(map(len, map(without_moment, page.values)))
        if len(found) >= GROUP_ENTRIES or held_bytes >= GROUP_BYTES:
            yield ExportEntries(found, held)
            found, held, held_bytes = [], [], 0
    if found:
        yield ExportEntries(found, held)


def _plain(element: Any) -> Any:
    return element.bytes if type(element) is UUID else element


def _is_there(value: Any) -> bool:
    return value is not None


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow  # noqa: PLC0415  (only installed with the extra `parquet`)
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise InvalidRequest("Parquet needs pyarrow: `pip install 'shardstore[parquet]'`") from None
    return pyarrow, pyarrow.parquet
