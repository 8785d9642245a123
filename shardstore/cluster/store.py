"""STORE: identity and fixed settings of a data directory. Written once, under its lock, and compared at every open.

The file is a document (see documents.py) with the format STORE_DOCUMENT (formats.py) and the body

    store       str            identity of the store, 16 hex digits
    workers     int            number of workers at its creation; the current number is in ROUTES
    boundaries  list of bytes  keys at which the store was divided at its creation
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shardstore.errors import Corruption, InvalidRequest
from shardstore.files.documents import encode_document, publish, read_document
from shardstore.files.file_names import ROUTER_DIRECTORY, SEGMENTS, STORE
from shardstore.files.formats import STORE_DOCUMENT
from shardstore.seams.entropy import Entropy
from shardstore.seams.filesystem import Filesystem

_KINDS = {"store": str, "workers": int, "boundaries": list}


@dataclass(frozen=True, slots=True)
class Store:
    """Identity and fixed settings of one data directory."""

    store: str
    workers: int
    boundaries: tuple[bytes, ...]


def read_store(filesystem: Filesystem) -> Store | None:
    """Read the store of this directory; None if there is none yet. Raises Corruption."""
    if not filesystem.exists(STORE):
        if filesystem.exists(ROUTER_DIRECTORY) or filesystem.exists(SEGMENTS):
            raise Corruption(STORE, 0, "is missing, though the directory holds the files of a store")
        return None
    _, body = read_document(filesystem, STORE, STORE_DOCUMENT)
    if {name: type(value) for name, value in body.items()} != _KINDS:
        raise Corruption(STORE, 0, f"has other fields than {', '.join(_KINDS)}")
    return Store(body["store"], body["workers"], tuple(body["boundaries"]))


def create_store(filesystem: Filesystem, entropy: Entropy, workers: int, boundaries: Sequence[bytes]) -> Store:
    """Create a store in this directory."""
    store = Store(f"{entropy.below(2**64):016x}", workers, tuple(boundaries))
    body = {"store": store.store, "workers": store.workers, "boundaries": list(store.boundaries)}
    publish(filesystem, STORE, encode_document(STORE_DOCUMENT, body))
    return store


def check_same(store: Store, boundaries: Sequence[bytes] | None) -> None:
    """Raise InvalidRequest, with the stored boundaries, if boundaries are given and differ from them."""
    if boundaries is not None and tuple(boundaries) != store.boundaries:
        raise InvalidRequest(
            f"this store was made with {len(store.boundaries) + 1} ranges{_quoted(store.boundaries)}, "
            f"not the {len(boundaries) + 1} that were asked for: leave ranges out"
        )


def _quoted(boundaries: Sequence[bytes]) -> str:
    first = ", ".join(map(repr, boundaries[:4]))
    return f" (split at {first}{', ...' if len(boundaries) > 4 else ''})" if boundaries else ""
