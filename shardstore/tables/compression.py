"""Compression of blocks. A block is stored as it is where compression would save less than an eighth of it."""

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
    """How to compress a block, and to get back so many bytes; None for a store without compression.

    `expand` raises ValueError for bytes that are no compressed block of that size.
    """

    compress: Callable[[Buffer], bytes]
    expand: Callable[[Buffer, int], bytes]


def codec_of(compression: str) -> Codec | None:
    """The codec of that name."""
    return _CODECS.get(compression)


def stored_form(block: bytes, codec: Codec | None) -> bytes:
    """The block as it is written. It was compressed if, and only if, it became shorter."""
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
