"""What `spaces` returns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from shardstore.spaces.document import SpaceDocument, read_space_document
from shardstore.spaces.reserved import name_from
from shardstore.spaces.space_codec import MS


class SpaceInfo(NamedTuple):
    """What is stored of a space.

    Attributes:
        name: Its name.
        key: The description of the type of its keys; `keys.from_description` reads it.
        value: The description of its values; `values.from_description` reads it.
        number: The number that its keys in the store begin with. No space ever had it before.
        dropped: Whether it was dropped, and what was in it is not removed yet. `drop_space` completes that.
        together: Whether all its keys are kept in one range of the store.
        ttl: Seconds that its values are there if nothing else is said; None: for ever.
    """

    name: str
    key: str
    value: str
    number: int
    dropped: bool
    together: bool
    ttl: float | None = None


def infos_from(documents: Iterable[tuple[bytes, bytes]]) -> dict[str, SpaceInfo]:
    """Return the spaces by name, from their documents with the keys of these. Raises UndecodableValue."""
    read = {name_from(key): read_space_document(name_from(key), data) for key, data in documents}
    return {name: _info(name, each) for name, each in read.items()}


def _info(name: str, document: SpaceDocument) -> SpaceInfo:
    ttl = document.ttl_ms / MS if document.ttl_ms else None
    return SpaceInfo(name, document.key, document.value, document.number, document.dropped, document.together, ttl)
