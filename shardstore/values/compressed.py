"""Compression of single values. What is stored of a value in a space with compression:

    u8 tag | value                  tag 0: as it is; it is short, or does not shrink by an eighth
    u8 tag | u32 size | compressed  tag 1: zstd, tag 2: lz4; big endian, the size of the value

Each value says how it is stored, so any compression reads what another has written.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from shardstore.compression import Codec, codec_of, is_worth_it
from shardstore.errors import InvalidRequest
from shardstore.limits import VALUE_BYTES_MAX
from shardstore.segment_options import Compression

SHORT_BYTES = 64
"""Values below this size are not compressed."""
_SIZE_BYTES = 4
_HEAD_BYTES = 1 + _SIZE_BYTES
_PLAIN = b"\x00"


class Algorithm(NamedTuple):
    """An algorithm of compression, and its tag."""

    tag: bytes
    codec: Codec

    def stored(self, value: bytes) -> bytes:
        """Return what is stored of a value. Raises InvalidRequest if it is too large to be read back."""
        size = len(value)
        if size > VALUE_BYTES_MAX:
            raise InvalidRequest(f"a value has at most {VALUE_BYTES_MAX} bytes before compression, not {size}")
        if size >= SHORT_BYTES:
            compressed = self.codec.compress(value)
            if is_worth_it(_HEAD_BYTES + len(compressed), size):
                return self.tag + size.to_bytes(_SIZE_BYTES, "big") + compressed
        return _PLAIN + value


def expanded(stored: bytes) -> bytes:
    """Return the value of which this is stored. Raises ValueError. It takes no memory before it knows the size."""
    tag, size = stored[:1], int.from_bytes(stored[1:_HEAD_BYTES], "big")
    if tag == _PLAIN:
        return stored[1:]
    codec = next((each.codec for each in ALGORITHMS.values() if each.tag == tag), None)
    if codec is None or size > VALUE_BYTES_MAX:
        raise ValueError("no value as compression writes it")
    return codec.expand(stored[_HEAD_BYTES:], size)


def _algorithm(tag: bytes, compression: Compression) -> Algorithm:
    codec = codec_of(compression)
    assert codec is not None, f"{compression} is no compression"
    return Algorithm(tag, codec)


ALGORITHMS: Final = {
    "zstd": _algorithm(b"\x01", Compression.ZSTD),
    "lz4": _algorithm(b"\x02", Compression.LZ4),
}
