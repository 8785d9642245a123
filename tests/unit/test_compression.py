"""Algorithms of compression: sizes are checked before memory is taken, and threads do not disturb each other."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard

from shardstore.compression import Codec, codec_of, is_worth_it
from shardstore.segment_options import Compression

THREADS = 8
ROUNDS = 300
CONTENT = b"to be or not to be " * 200


def algorithm(compression: Compression) -> Codec:
    codec = codec_of(compression)
    assert codec is not None
    return codec


@pytest.fixture(params=[Compression.LZ4, Compression.ZSTD], name="codec")
def each_codec(request: pytest.FixtureRequest) -> Codec:
    return algorithm(request.param)


def test_no_compression_has_no_codec() -> None:
    assert codec_of(Compression.NONE) is None


def test_what_was_compressed_expands(codec: Codec) -> None:
    for content in (b"", b"x", CONTENT, memoryview(CONTENT)):
        assert codec.expand(memoryview(codec.compress(content)), len(content)) == content


def test_another_size_is_refused(codec: Codec) -> None:
    compressed = codec.compress(CONTENT)
    for size in (0, len(CONTENT) - 1, len(CONTENT) + 1):
        with pytest.raises(ValueError):  # noqa: PT011 (lz4 and zstandard word it differently)
            codec.expand(compressed, size)


def test_bytes_that_are_not_compressed_are_refused(codec: Codec) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (as above)
        codec.expand(b"\xff\xff\xff\xff\xff", 100)


@pytest.mark.fault("G10")
def test_a_frame_that_claims_a_huge_size_takes_no_memory() -> None:
    huge = zstandard.ZstdCompressor().compress(bytes(1 << 26))
    with pytest.raises(ValueError, match="no zstd of 100 bytes"):
        algorithm(Compression.ZSTD).expand(huge, 100)


def test_many_threads_compress_and_expand_at_once(codec: Codec) -> None:
    def work(seed: int) -> bool:
        draw = random.Random(seed)
        contents = [draw.randbytes(50) * draw.randrange(1, 200) for _ in range(ROUNDS)]
        return all(codec.expand(codec.compress(content), len(content)) == content for content in contents)

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(work, range(THREADS)))


def test_what_saves_an_eighth_or_less_is_not_worth_it() -> None:
    assert is_worth_it(874, 1_000)
    assert not is_worth_it(875, 1_000)
