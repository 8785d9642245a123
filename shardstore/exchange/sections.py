"""Which spaces of a store are exported, and how an import finds or makes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from shardstore.errors import InvalidRequest
from shardstore.exchange.content import ExportSection
from shardstore.key_range import KeyRange, range_of_prefix
from shardstore.spaces.document import SpaceDocument
from shardstore.spaces.registry import find_space, open_space
from shardstore.spaces.reserved import RESERVED, document_key, prefix_of_space
from shardstore.spaces.steps import run_steps

if TYPE_CHECKING:
    from shardstore.client.blocking.client import Client

OUTSIDE = KeyRange(b"", RESERVED)
"""The keys that belong to no space."""


class Source(NamedTuple):
    """A section of a store: its keys begin with `prefix`, and those in `key_range`, which have it, are wanted."""

    section: ExportSection
    prefix: bytes
    key_range: KeyRange


class SectionBounds(NamedTuple):
    """Bounds of the keys of a section; None: no bound."""

    start: bytes | None = None
    end: bytes | None = None
    prefix: bytes | None = None

    def of(self, prefix: bytes) -> KeyRange | None:
        """Return the keys in these bounds, of those that begin with the prefix of a section; None if there are none."""
        owned = range_of_prefix(prefix) if prefix else OUTSIDE
        end = owned.end if self.end is None else prefix + self.end
        wanted = owned.intersection(KeyRange(prefix + (self.start or b""), end)) if end > owned.start else None
        if self.prefix and wanted:
            wanted = wanted.intersection(range_of_prefix(prefix + self.prefix))
        return wanted


def sources(db: Client, space: str | None, bounds: SectionBounds, timeout: float | None) -> list[Source]:
    """Return the sections of a store that are wanted: one space, or ("") the keys outside of spaces, or (None) all.

    Raises InvalidRequest if there is no such space.
    """
    found = list(_sections(db, space, timeout))
    ranges = [bounds.of(prefix) for _, prefix in found]
    return [Source(*each, wanted) for each, wanted in zip(found, ranges, strict=True) if wanted is not None]


def _sections(db: Client, space: str | None, timeout: float | None) -> Iterator[tuple[ExportSection, bytes]]:
    if not space:
        yield ExportSection(), b""
    if space == "":
        return
    infos = db.spaces(timeout=timeout)
    if space is not None and (space not in infos or infos[space].dropped):
        raise InvalidRequest(f"there is no space {space!r:.60}; the store has: {', '.join(infos) or 'none'}")
    for name in infos if space is None else [space]:
        document = run_steps(db, find_space(name, timeout))
        if document is not None and not document.dropped:
            section = ExportSection(name, document.key, document.value, document.together, document.ttl_ms)
            yield section, prefix_of_space(document.number)


def target_prefix(db: Client, section: ExportSection, timeout: float | None) -> bytes:
    """Return what the keys of a section begin with in a store. Its space is made if there is none.

    Raises InvalidRequest if the space has other types.
    """
    if not section.name:
        return b""
    return run_steps(db, open_space(_CopiedSpace(section), timeout)).prefix


def check_target(db: Client, section: ExportSection, timeout: float | None) -> None:
    """Raise InvalidRequest if a store has the space of a section with other types."""
    document = run_steps(db, find_space(section.name, timeout)) if section.name else None
    if document is not None and not document.dropped:
        _CopiedSpace(section).opened(document)


class _Copied(NamedTuple):
    """A space of which only what begins its keys is needed."""

    prefix: bytes


class _CopiedSpace:
    """A space as an import wants it: with the descriptions of another one. It need not know the codec of its values."""

    def __init__(self, section: ExportSection) -> None:
        self.name = section.name
        self.document_key = document_key(section.name)
        self._section = section

    def new(self, number: int) -> SpaceDocument:
        """Return the document of a new space."""
        _, key, value, together, ttl_ms = self._section
        return SpaceDocument(number, key, value, together=together, ttl_ms=ttl_ms)

    def opened(self, document: SpaceDocument) -> _Copied:
        """Return the space with this document. Raises InvalidRequest if it has other types."""
        wanted, name = self._section, self.name
        for what, stored, given in (("keys", document.key, wanted.key), ("values", document.value, wanted.value)):
            if stored != given:
                raise InvalidRequest(
                    f"the space {name!r:.60} of the store has {what} of the type {stored}, that of the file {given}: "
                    "import it into another store, or drop the space before"
                )
        return _Copied(prefix_of_space(document.number))
