"""The format of small files that are replaced as a whole: manifest, route map, WAL checkpoint, store identity.

    offset  size  field        (little-endian)
         0     8  magic        names the kind of file
         8     4  version      format version of this kind (formats.py)
        12     4  length       bytes of the body
        16     8  checksum     XXH3-64 of the body, seeded with the XXH3-64 of bytes 0 to 15
        24     -  body         a msgpack map

`publish` is the only routine that replaces such a file: it writes a temporary file, syncs it, renames it over the old
file, and syncs the directory. A crash leaves the old file or the new one.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgpack

from shardstore.checksum import checksum
from shardstore.errors import Corruption, NotWritable, StorageFailure
from shardstore.files.formats import Format
from shardstore.identifiers import Buffer
from shardstore.limits import DOCUMENT_BYTES_MAX
from shardstore.seams.filesystem import Filesystem

_HEAD = struct.Struct("<8sII")
_CHECKSUM = struct.Struct("<Q")
HEAD_BYTES = _HEAD.size + _CHECKSUM.size
TEMPORARY_SUFFIX = ".tmp"


def encode_document(kind: Format, body: Mapping[str, Any]) -> bytes:
    """Return the content of the file."""
    packed: bytes = msgpack.packb(body)
    head = _HEAD.pack(kind.magic, kind.version, len(packed))
    return head + _CHECKSUM.pack(checksum(packed, checksum(head))) + packed


def decode_document(path: str, data: bytes, kind: Format) -> tuple[int, dict[str, Any]]:
    """Return format version and body. Raises Corruption, naming `path`, for damage, another kind, unread versions."""
    if len(data) < HEAD_BYTES:
        raise Corruption(path, len(data), f"ends inside the {HEAD_BYTES} bytes of its head")
    magic, version, length = _HEAD.unpack_from(data)
    if magic != kind.magic:
        raise Corruption(path, 0, f"begins with {magic!r} instead of {kind.magic!r}: it is another file, or damaged")
    kind.check(path, version)
    if length != len(data) - HEAD_BYTES:
        raise Corruption(path, 12, f"body of {len(data) - HEAD_BYTES} bytes instead of {length}")
    packed = data[HEAD_BYTES:]
    if _CHECKSUM.unpack_from(data, _HEAD.size)[0] != checksum(packed, checksum(data[: _HEAD.size])):
        raise Corruption(path, _HEAD.size, "checksum does not match")
    try:
        body = msgpack.unpackb(packed, strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise Corruption(path, HEAD_BYTES, f"body is no msgpack: {error}") from None
    if type(body) is not dict:
        raise Corruption(path, HEAD_BYTES, "body is no map")
    return version, body


def publish(filesystem: Filesystem, path: str, data: bytes) -> None:
    """Replace the file at `path` with this content, atomically and durably."""
    publish_pieces(filesystem, path, [data])


def publish_pieces(filesystem: Filesystem, path: str, pieces: Sequence[Buffer]) -> None:
    """Like `publish`, for content in several pieces."""
    temporary = path + TEMPORARY_SUFFIX
    if filesystem.exists(temporary):
        filesystem.remove(temporary)
    file = filesystem.create(temporary)
    try:
        file.append(pieces)
        file.sync()
    except NotWritable:  # the disk may be full: free the space of the temporary file
        with suppress(StorageFailure):
            filesystem.remove(temporary)
        raise
    finally:
        file.close()
    filesystem.rename(temporary, path)
    filesystem.sync_directory(path.rpartition("/")[0])


def read_document(filesystem: Filesystem, path: str, kind: Format) -> tuple[int, dict[str, Any]]:
    """Return format version and body of a published file, read past the cache. Raises FileNotFoundError, Corruption."""
    file = filesystem.open(path)
    try:
        size = file.size()
        if size > DOCUMENT_BYTES_MAX:
            raise Corruption(path, DOCUMENT_BYTES_MAX, f"{size} bytes, more than such a file may have")
        file.drop_cache()
        return decode_document(path, file.read_at(0, size), kind)
    finally:
        file.close()
