"""What a file of an export holds: sections, one for each space, and in each its entries, in the order of their keys.

    section, entries, entries, ..., section, entries, ..., end

Keys are those of their section: without what begins the keys of a space in the store. Values are as they are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from shardstore.errors import Corruption
from shardstore.identifiers import Expiring
from shardstore.limits import DESCRIPTION_CHARACTERS_MAX, KEY_BYTES_MAX, MOMENT_MS_MAX, VALUE_BYTES_MAX
from shardstore.spaces.reserved import NAME_CHARACTERS_MAX

Value: TypeAlias = bytes | Expiring


class ExportSection(NamedTuple):
    """A space with its types, as its document describes it (spaces/document.py).

    Without a name: the keys that belong to no space.
    """

    name: str = ""
    key: str = "Bytes()"
    value: str = "Raw/1"
    together: bool = False
    ttl_ms: int = 0

    def __str__(self) -> str:
        return f"space {self.name!r:.60}" if self.name else "keys outside of spaces"


class ExportEntries(NamedTuple):
    """Entries of the latest section, in the order of their keys."""

    keys: Sequence[bytes]
    values: Sequence[Value]


class ExportEnd(NamedTuple):
    """The end of a file that is whole. `entries`: how many it has in all."""

    entries: int


ExportPiece: TypeAlias = ExportSection | ExportEntries | ExportEnd


class Placed(NamedTuple):
    """A piece, and where the next one begins: its offset in the file, in bytes."""

    piece: ExportPiece
    behind: int


def section_of(fields: Any, path: str, offset: int) -> ExportSection:
    """Return the section with these fields, which were read from a file. Raises Corruption."""
    wanted = {name: type(value) for name, value in ExportSection()._asdict().items()}
    if not isinstance(fields, dict) or {name: type(value) for name, value in fields.items()} != wanted:
        raise Corruption(path, offset, "this is no section")
    section = ExportSection(**fields)
    longest = max(len(section.key), len(section.value))
    if len(section.name) > NAME_CHARACTERS_MAX or longest > DESCRIPTION_CHARACTERS_MAX:
        raise Corruption(path, offset, "a section with too long a name or description")
    if not 0 <= section.ttl_ms <= MOMENT_MS_MAX:
        raise Corruption(path, offset, f"a section whose values last {section.ttl_ms} ms")
    return section


def check_entries(entries: ExportEntries, path: str, offset: int) -> None:
    """Raise Corruption if entries that were read from a file cannot be those of a store."""
    keys = entries.keys
    if not min(map(len, keys)) > 0 or max(map(len, keys)) > KEY_BYTES_MAX:
        raise Corruption(path, offset, f"a key is empty, or has more than {KEY_BYTES_MAX:,} bytes")
    if max(map(len, map(without_moment, entries.values))) > VALUE_BYTES_MAX:
        raise Corruption(path, offset, f"a value has more than {VALUE_BYTES_MAX:,} bytes")


def without_moment(value: Value) -> bytes:
    """Return a value without the moment when it expires."""
    return value.value if type(value) is Expiring else value  # type: ignore[return-value]
