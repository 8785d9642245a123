"""Compression of single values. What is stored of a value in a space with compression:

    u8 tag | value                  tag 0: as it is; it is short, or does not shrink by an eighth
    u8 tag | u32 size | compressed  tag 1: zstd, tag 2: lz4; big endian, the size of the value

Each value says how it is stored, so any compression reads what another has written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

import lz4.block
import zstandard

from shardstore.errors import InvalidRequest
from shardstore.limits import VALUE_BYTES_MAX

SHORT_BYTES = 64
"""Values below this size are not compressed."""
_WORTH_IT = 7 / 8
_SIZE_BYTES = 4
_HEAD_BYTES = 1 + _SIZE_BYTES
_PLAIN = b"\x00"
_ZSTD_LEVEL = 1

T = TypeVar("T")


class Algorithm(NamedTuple):
    """An algorithm of compression, and its tag. `expand` raises ValueError, and makes at most so many bytes."""

    tag: bytes
    compress: Callable[[bytes], bytes]
    expand: Callable[[bytes, int], bytes]

    def stored(self, value: bytes) -> bytes:
        """Return what is stored of a value. Raises InvalidRequest if it is too large to be read back."""
        size = len(value)
        if size > VALUE_BYTES_MAX:
            raise InvalidRequest(f"a value has at most {VALUE_BYTES_MAX} bytes before compression, not {size}")
        if size >= SHORT_BYTES:
            compressed = self.compress(value)
            if _HEAD_BYTES + len(compressed) < size * _WORTH_IT:
                return self.tag + size.to_bytes(_SIZE_BYTES, "big") + compressed
        return _PLAIN + value


def expanded(stored: bytes) -> bytes:
    """Return the value of which this is stored. Raises ValueError. It takes no memory before it knows the size."""
    tag, size = stored[:1], int.from_bytes(stored[1:_HEAD_BYTES], "big")
    if tag == _PLAIN:
        return stored[1:]
    algorithm = next((each for each in ALGORITHMS.values() if each.tag == tag), None)
    if algorithm is None or size > VALUE_BYTES_MAX:
        raise ValueError("no value as compression writes it")
    value = algorithm.expand(stored[_HEAD_BYTES:], size)
    if len(value) != size:
        raise ValueError(f"{len(value)} bytes instead of {size}")
    return value


def _compress_zstd(value: bytes) -> bytes:
    return lent(_compressors, _new_compressor, lambda compressor: compressor.compress(value))


def _expand_zstd(compressed: bytes, size: int) -> bytes:
    try:
        if zstandard.frame_content_size(compressed) != size:  # it counts for zstandard, not a size that we pass
            raise ValueError(f"no zstd of {size} bytes")
        return lent(_decompressors, zstandard.ZstdDecompressor, lambda expander: expander.decompress(compressed))
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None


def _compress_lz4(value: bytes) -> bytes:
    compressed: bytes = lz4.block.compress(value, store_size=False)
    return compressed


def _expand_lz4(compressed: bytes, size: int) -> bytes:
    try:
        value: bytes = lz4.block.decompress(compressed, uncompressed_size=size)
    except lz4.block.LZ4BlockError as error:
        raise ValueError(str(error)) from None
    return value


def lent(idle: list[T], make: Callable[[], T], use: Callable[[T], bytes]) -> bytes:
    """Use a helper that no other thread uses. Making one takes ten times as long as compressing a short value."""
    try:
        helper = idle.pop()
    except IndexError:
        helper = make()
    result = use(helper)
    idle.append(helper)
    return result


def _new_compressor() -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL)


_compressors: list[zstandard.ZstdCompressor] = []
_decompressors: list[zstandard.ZstdDecompressor] = []

ALGORITHMS: Final = {
    "zstd": Algorithm(b"\x01", _compress_zstd, _expand_zstd),
    "lz4": Algorithm(b"\x02", _compress_lz4, _expand_lz4),
}
