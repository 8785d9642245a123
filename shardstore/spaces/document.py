"""What is stored of a space: a msgpack map.

version  2 (files/formats.py); a document keeps the version that it was made with
number   what the prefix of its keys is made of (reserved.py)
key      the description of the type of its keys
value    the description of its values
dropped  whether it was dropped: then its keys are about to be removed, and nobody opens it
together whether all its keys are kept in one range of the store; not in version 1, where none were
ttl_ms   how long its values are there if nothing else is said, in milliseconds; 0: for ever; not in version 1
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgpack

from shardstore.errors import UndecodableValue
from shardstore.files.formats import SPACE_DOCUMENT
from shardstore.limits import DESCRIPTION_CHARACTERS_MAX, KIB, MOMENT_MS_MAX
from shardstore.spaces.reserved import NUMBER_MAX
from shardstore.wire import bounded_msgpack

DOCUMENT_BYTES_MAX: Final = 4 * DESCRIPTION_CHARACTERS_MAX * 2 + KIB
"""Two descriptions of the longest characters, and the rest."""
REGISTRY: Final = "the registry of spaces"
"""Stands for the name of a space in the errors of damaged documents."""
_FIELDS = {
    "version": int,
    "number": int,
    "key": str,
    "value": str,
    "dropped": bool,
    "together": bool,
    "ttl_ms": int,
}
_SINCE_VERSION_2 = {"together", "ttl_ms"}


class SpaceDocument(NamedTuple):
    """What is stored of a space."""

    number: int
    key: str
    value: str
    dropped: bool = False
    together: bool = False
    ttl_ms: int = 0
    version: int = SPACE_DOCUMENT.version

    def encode(self) -> bytes:
        """Return the bytes that are stored."""
        values = self._asdict()
        packed: bytes = msgpack.packb({field: values[field] for field in _fields_of(self.version)})
        return packed

    @property
    def encoded_as_dropped(self) -> bytes:
        """The bytes of the same space, dropped."""
        return self._replace(dropped=True).encode()


def read_space_document(name: str, data: bytes) -> SpaceDocument:
    """Return the document of a space. Raises UndecodableValue."""
    try:
        fields = bounded_msgpack.unpack(data, DOCUMENT_BYTES_MAX)
        flaw = _flaw_in(fields)
    except bounded_msgpack.FLAWS as error:
        flaw = f"no msgpack: {error}"
    if flaw:
        raise UndecodableValue(REGISTRY, name, flaw)
    return SpaceDocument(**fields)


def _fields_of(version: int) -> dict[str, type]:
    return {field: kind for field, kind in _FIELDS.items() if version > 1 or field not in _SINCE_VERSION_2}


def _flaw_in(fields: Any) -> str:
    """What is wrong with the fields of a document; empty if nothing is."""
    if type(fields) is not dict or type(fields.get("version")) is not int:
        return "no document of a space"
    if flaw := SPACE_DOCUMENT.flaw(fields["version"]):
        return flaw
    if {field: type(value) for field, value in fields.items()} != _fields_of(fields["version"]):
        return f"its fields are {list(fields)!s:.60}"
    if not 0 < fields["number"] <= NUMBER_MAX:
        return f"the number {fields['number']}"
    if not 0 <= fields.get("ttl_ms", 0) <= MOMENT_MS_MAX:
        return f"the ttl_ms {fields['ttl_ms']}"
    if max(len(fields["key"]), len(fields["value"])) > DESCRIPTION_CHARACTERS_MAX:
        return "a description is too long"
    return ""
