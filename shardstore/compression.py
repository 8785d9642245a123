"""Algorithms of compression, for blocks of tables and for values. Any thread may use them.

A compressor or decompressor of zstandard must not be used by two threads at once: they would return wrong bytes. So
idle ones wait in a list, and a thread takes one out of it. Making one takes ten times as long as a short compression.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

import lz4.block
import zstandard

from shardstore.identifiers import Buffer
from shardstore.segment_options import Compression

ZSTD_LEVEL = 1
_WORTH_IT = 7 / 8
_Helper = TypeVar("_Helper")


class Codec(NamedTuple):
    """An algorithm: `compress(content)`, and `expand(compressed, size)` with the size of the content.

    `expand` makes at most so many bytes. It raises ValueError if the bytes cannot be expanded to that size.
    """

    compress: Callable[[Buffer], bytes]
    expand: Callable[[Buffer, int], bytes]


def codec_of(compression: str) -> Codec | None:
    """Return the codec of that name; None for no compression."""
    return _CODECS.get(compression)


def is_worth_it(compressed_bytes: int, content_bytes: int) -> bool:
    """Whether compression saves more than an eighth. What saves less is stored as it is."""
    return compressed_bytes < content_bytes * _WORTH_IT


def _compress_zstd(content: Buffer) -> bytes:
    compressor = _taken(_idle_compressors) or zstandard.ZstdCompressor(level=ZSTD_LEVEL)
    compressed: bytes = compressor.compress(content)
    _idle_compressors.append(compressor)
    return compressed


def _expand_zstd(compressed: Buffer, size: int) -> bytes:
    try:
        claimed = zstandard.frame_content_size(compressed)  # zstandard makes so many bytes, whatever limit it is given
        if claimed != size:
            raise ValueError(f"no zstd of {size} bytes")
        decompressor = _taken(_idle_decompressors) or zstandard.ZstdDecompressor()
        content: bytes = decompressor.decompress(compressed)
        _idle_decompressors.append(decompressor)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None
    return content


def _compress_lz4(content: Buffer) -> bytes:
    compressed: bytes = lz4.block.compress(content, store_size=False)
    return compressed


def _expand_lz4(compressed: Buffer, size: int) -> bytes:
    try:
        content: bytes = lz4.block.decompress(compressed, uncompressed_size=size)
    except lz4.block.LZ4BlockError as error:
        raise ValueError(str(error)) from None
    if len(content) != size:
        raise ValueError(f"{len(content)} bytes instead of {size}")
    return content


def _taken(idle: list[_Helper]) -> _Helper | None:
    """Take a helper out of the list, in one step that no other thread can interrupt; None if there is none."""
    try:
        return idle.pop()
    except IndexError:
        return None


_idle_compressors: list[zstandard.ZstdCompressor] = []
_idle_decompressors: list[zstandard.ZstdDecompressor] = []
_CODECS: Final[dict[str, Codec]] = {
    Compression.ZSTD: Codec(_compress_zstd, _expand_zstd),
    Compression.LZ4: Codec(_compress_lz4, _expand_lz4),
}
