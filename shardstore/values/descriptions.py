"""Reads the descriptions of stored values: name "/" version, and "+" compression if there is one: `Json/1+zstd`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shardstore.errors import InvalidRequest
from shardstore.values.codec import ValueCodec
from shardstore.values.compressed import ALGORITHMS
from shardstore.values.pickled import PickleCodec
from shardstore.values.stored import CODECS, StoredValues


def values_from_description(description: str, own: Iterable[ValueCodec[Any]] = ()) -> StoredValues[Any]:
    """Return the values with this description.

    Args:
        description: `description` of some values.
        own: Codecs that are known besides those of shardstore. Pickle must be among them to be used: a description
            is stored, and what is stored shall not choose to run code.

    Returns:
        Values with the same description.

    Raises:
        InvalidRequest: There is no such codec, version or compression.
    """
    codecs = [*(codec() for codec in CODECS.values() if codec is not PickleCodec), *own]
    known = (StoredValues(codec, compression) for codec in codecs for compression in (None, *ALGORITHMS))
    values = next((each for each in known if each.description == description), None)
    if values is None:
        raise InvalidRequest(f"no codec is known that writes {description!r:.60}")
    return values
