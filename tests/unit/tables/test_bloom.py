"""The Bloom filter: no false negatives, and false positives at the rate that follows from its size."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from shardstore.identifiers import Stored
from shardstore.segment_options import Compression, SegmentOptions
from shardstore.tables.bloom import BloomFilter, build_bloom
from shardstore.tables.digests import digests_of
from tests.unit.table_samples import table_of

KEYS = 20_000
LINE_BITS = 256
WORDS, WORD_BITS = 8, 32


def expected_false_positives(bits_per_key: float) -> float:
    """The rate of a split block filter: a line has Poisson many keys; each sets 1 of 32 bits in each of its 8 words."""
    mean = LINE_BITS / bits_per_key
    total, probability = 0.0, exp(-mean)
    for keys in range(int(mean * 4) + 20):
        total += probability * (1 - (1 - 1 / WORD_BITS) ** keys) ** WORDS
        probability *= mean / (keys + 1)
    return total


@pytest.mark.parametrize("bits_per_key", [4.0, 8.0, 10.5, 16.0])
def test_false_positives_are_as_many_as_the_formula_says(bits_per_key: float) -> None:
    present = digests_of(b"present %d" % number for number in range(KEYS))
    absent = digests_of(b"absent %d" % number for number in range(10 * KEYS))
    bloom = BloomFilter(build_bloom(present, bits_per_key))
    assert bloom.may_contain(present).all()
    expected = expected_false_positives(bits_per_key)
    assert bloom.may_contain(absent).mean() == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("offset", range(8))
def test_a_filter_is_read_at_any_offset_of_a_file(offset: int) -> None:
    present, absent = (digests_of(b"%s %d" % (what, number) for number in range(500)) for what in (b"in", b"out"))
    data = build_bloom(present, 10.5)
    bloom = BloomFilter(memoryview(bytes(offset) + data)[offset:])
    assert bloom.may_contain(present).all()
    assert (bloom.may_contain(absent) == BloomFilter(data).may_contain(absent)).all()


@pytest.mark.parametrize("digest", [(0, 0), (2**64 - 1, 2**64 - 1), (7, 31 << 35), (7, 31 << 30)])
def test_a_key_sets_one_bit_in_each_word_of_its_line(digest: tuple[int, int]) -> None:
    digests = np.array([digest], np.uint64)
    line = np.frombuffer(build_bloom(digests, 1.0), "<u4")
    assert line.tolist() == [1 << (digest[1] >> 5 * word & 31) for word in range(WORDS)]
    for word in range(WORDS):
        lacking = line.copy()
        lacking[word] = ~line[word]
        assert not BloomFilter(lacking.tobytes()).may_contain(digests).any()
    assert BloomFilter(line.tobytes()).may_contain(digests).all()


def test_the_default_is_about_one_in_a_hundred() -> None:
    assert expected_false_positives(SegmentOptions().bloom_bits_per_key) == pytest.approx(0.01, rel=0.2)


def test_a_table_counts_what_its_filter_did() -> None:
    entries: dict[bytes, Stored] = {b"%06d" % number: b"" for number in range(0, 40_000, 2)}
    table = table_of(entries, SegmentOptions(bloom_bits_per_key=6))
    asked = [b"%06d" % number for number in range(40_000)]
    assert table.get_many(asked) == list(map(entries.get, asked))
    lookups = table.lookups
    assert (lookups.keys, lookups.filtered, lookups.found) == (40_000, 40_000, 20_000)
    assert lookups.passed == lookups.found + lookups.passed_falsely
    assert lookups.passed_falsely / 20_000 == pytest.approx(expected_false_positives(6), rel=0.2)


def test_the_filter_is_asked_soon_after_most_keys_have_become_absent() -> None:
    entries: dict[bytes, Stored] = {b"%06d" % number: b"" for number in range(1_000)}
    table = table_of(entries)
    present, absent = list(entries), [b"x%05d" % number for number in range(1_000)]
    for keys, is_filtered in ((present, False), (absent, True), (present, False)):
        for _ in range(100):
            before = table.lookups.filtered
            table.get_many(keys)
        assert (table.lookups.filtered > before) is is_filtered


def test_a_filter_of_no_bits_lets_everything_pass() -> None:
    entries: dict[bytes, Stored] = {b"%06d" % number: b"v" for number in range(100)}
    table = table_of(entries, SegmentOptions(bloom_bits_per_key=0))
    asked = [*entries, *(b"x%06d" % number for number in range(100))]
    assert table.get_many(asked) == list(map(entries.get, asked))
    assert (table.lookups.passed, table.lookups.passed_falsely) == (200, 100)


def test_absent_keys_touch_no_block_except_by_a_false_positive() -> None:
    entries: dict[bytes, Stored] = {b"%06d" % number: b"v" * 20 for number in range(0, 2_000, 2)}
    table = table_of(entries, SegmentOptions(compression=Compression.ZSTD))
    absent = [b"%06d" % number for number in range(1, 2_000, 2)]
    assert table.get_many(absent) == [None] * len(absent)
    assert [table.get_many([key])[0] for key in absent[:50]] == [None] * 50
    touched = table._cache.blocks.hits + table._cache.blocks.misses
    assert touched <= table.lookups.passed_falsely
