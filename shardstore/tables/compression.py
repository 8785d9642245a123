"""Compression of blocks. A block is stored uncompressed if compression saves an eighth of it or less."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import lz4.block
import zstandard

from shardstore.identifiers import Buffer
from shardstore.segment_options import Compression

ZSTD_LEVEL = 1
_WORTH_IT = 7 / 8


class Codec(NamedTuple):
    """A compression algorithm: `compress(block)`, and `expand(stored, size)` with the size of the block.

    `expand` raises ValueError if the bytes cannot be expanded. The caller checks the length of the result.
    """

    compress: Callable[[Buffer], bytes]
    expand: Callable[[Buffer, int], bytes]


def codec_of(compression: str) -> Codec | None:
    """Return the codec of that name; None for no compression."""
    return _CODECS.get(compression)


def stored_form(block: bytes, codec: Codec | None) -> bytes:
    """Return the block as it is written to the file. It is compressed if, and only if, it is shorter than `block`."""
    if codec is None:
        return block
    compressed = codec.compress(block)
    return compressed if len(compressed) < len(block) * _WORTH_IT else block


def _expand_zstd(stored: Buffer, size: int) -> bytes:
    try:
        block: bytes = _DECOMPRESSOR.decompress(stored, max_output_size=size)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None
    return block


def _expand_lz4(stored: Buffer, size: int) -> bytes:
    try:
        block: bytes = lz4.block.decompress(stored, uncompressed_size=size)
    except lz4.block.LZ4BlockError as error:
        raise ValueError(str(error)) from None
    return block


def _compress_lz4(block: Buffer) -> bytes:
    compressed: bytes = lz4.block.compress(block, store_size=False)
    return compressed


_COMPRESSOR = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
_DECOMPRESSOR = zstandard.ZstdDecompressor()
_CODECS: dict[str, Codec] = {
    Compression.ZSTD: Codec(_COMPRESSOR.compress, _expand_zstd),
    Compression.LZ4: Codec(_compress_lz4, _expand_lz4),
}
