"""Values as they are stored: descriptions, codecs of a user, and compression."""

from __future__ import annotations

from typing import Any

import lz4.block
import pytest
import zstandard

from shardstore import InvalidRequest, values
from shardstore.limits import VALUE_BYTES_MAX
from shardstore.values.compressed import SHORT_BYTES, expanded

LONG = b"abcdefgh" * 100


class Upper:
    """A codec of a user."""

    name = "Upper"
    version = 3

    def encode(self, value: str) -> bytes:
        return value.upper().encode()

    def decode(self, data: bytes) -> str:
        return {b"A": "a", b"B": "b"}[data]


def changed(**fields: Any) -> Any:
    return type("Changed", (Upper,), fields)()


def test_a_codec_of_a_user() -> None:
    stored = values.Values(Upper(), "zstd")
    assert repr(stored) == stored.description == "Upper/3+zstd"
    assert stored.encode_many(["a", "b"]) == [b"\0A", b"\0B"]
    assert stored.decode_many([b"\0A", b"\0B"]) == ["a", "b"]
    with pytest.raises(ValueError, match="KeyError: b'C'"):
        stored.decode(b"\0C")
    with pytest.raises(AttributeError):
        stored.encode(5)  # type: ignore[arg-type]


def test_methods_for_many_values_are_used_if_there_are_some() -> None:
    many = changed(encode_many=lambda self, items: [b"many"] * len(items), decode_many=lambda self, items: ["all"])
    assert values.Values(many).encode("a") == b"many"
    assert values.Values(many).decode(b"A") == "all"


BAD = [
    (Upper, None, "a codec has name, version, encode and decode; <class"),
    (5, None, "a codec has name, version, encode and decode; 5 does not"),
    (changed(decode=None), None, "a codec has name, version, encode and decode; "),
    (changed(name="a/b"), None, "the name of a codec is 1 to 64 letters, digits, '_', '.' and '-', not 'a/b'"),
    (changed(name=""), None, "the name of a codec is 1 to 64 letters"),
    (changed(name=None), None, "the name of a codec is 1 to 64 letters"),
    (changed(version=0), None, "the version of a codec is 1 to 65535, not 0"),
    (changed(version=True), None, "the version of a codec is 1 to 65535, not True"),
    (changed(version="1"), None, "the version of a codec is 1 to 65535, not '1'"),
    (changed(name="Json"), None, "Json is a codec of shardstore: give yours another name"),
    (Upper(), "gzip", "compression is zstd, lz4 or None, not 'gzip'"),
    (Upper(), "", "compression is zstd, lz4 or None, not ''"),
]


@pytest.mark.parametrize(("codec", "compression", "text"), BAD, ids=[text for _, _, text in BAD])
def test_what_is_no_codec_is_refused(codec: Any, compression: str | None, text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        values.Values(codec, compression)
    assert text in str(caught.value)


def test_a_codec_that_makes_no_bytes_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        values.Values(changed(encode=lambda self, value: value)).encode("a")
    assert str(caught.value) == "the codec Upper/3 encodes values as something else than bytes"


@pytest.mark.parametrize("codec", [values.Raw, values.Str, values.Int, values.Float, values.Json, values.MsgPack])
@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_a_description_makes_the_values_again(codec: Any, compression: str | None) -> None:
    stored = values.Values(codec(), compression)
    assert values.from_description(stored.description).description == stored.description


def test_a_description_finds_the_codecs_of_a_user() -> None:
    assert values.from_description("Upper/3+lz4", [Upper()]).decode(b"\0A") == "a"


@pytest.mark.parametrize(
    "description", ["", "Json", "Json/2", "Json/1+", "Json/1+gzip", "Upper/3", "json/1", "Pickle/1", None, b"Json/1"]
)
def test_other_descriptions_are_refused(description: Any) -> None:
    with pytest.raises(InvalidRequest, match="no codec is known that writes "):
        values.from_description(description)


def test_a_stored_description_alone_does_not_choose_to_run_code() -> None:
    assert values.from_description("Pickle/1", [values.Pickle()]).decode(values.Pickle().encode({1})) == {1}


@pytest.mark.parametrize(("compression", "tag"), [("zstd", 1), ("lz4", 2)])
def test_only_what_shrinks_is_compressed(compression: str, tag: int) -> None:
    stored = values.Values(values.Raw(), compression)
    assert stored.encode(b"a" * (SHORT_BYTES - 1)) == b"\0" + b"a" * (SHORT_BYTES - 1)
    shrunk = stored.encode(LONG)
    assert (shrunk[0], shrunk[1:5], len(shrunk) < 100) == (tag, len(LONG).to_bytes(4, "big"), True)
    assert stored.decode(shrunk) == LONG
    without_pattern = bytes(range(256))
    assert stored.encode(without_pattern) == b"\0" + without_pattern


def test_every_compression_reads_what_another_has_written() -> None:
    datas = [values.Values(values.Raw(), each).encode(LONG) for each in ("zstd", "lz4")]
    for compression in ("zstd", "lz4"):
        assert values.Values(values.Raw(), compression).decode_many([*datas, b"\0" + LONG]) == [LONG] * 3


def sized(tag: int, size: int, body: bytes) -> bytes:
    return bytes([tag]) + size.to_bytes(4, "big") + body


ZSTD, LZ4 = zstandard.compress(LONG), lz4.block.compress(LONG, store_size=False)
BOMB = zstandard.compress(bytes(1 << 26))
UNKNOWN_SIZE = zstandard.ZstdCompressor(write_content_size=False).compress(LONG)


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        (b"", "no value as compression writes it"),
        (b"\x03" + bytes(10), "no value as compression writes it"),
        (sized(1, VALUE_BYTES_MAX + 1, ZSTD), "no value as compression writes it"),
        (sized(2, VALUE_BYTES_MAX + 1, LZ4), "no value as compression writes it"),
        (sized(1, len(LONG), BOMB), "no zstd of 800 bytes"),
        (sized(1, len(LONG) - 1, ZSTD), "no zstd of 799 bytes"),
        (sized(1, len(LONG), UNKNOWN_SIZE), "no zstd of 800 bytes"),
        (sized(1, len(LONG), ZSTD[:-1]), "did not decompress full frame"),
        (sized(1, len(LONG), b"abc"), "error when determining content size"),
        (b"\x01\x00", "error when determining content size"),
        (sized(2, len(LONG) + 1, LZ4), "800 bytes instead of 801"),
        (sized(2, len(LONG) - 1, LZ4), "Decompression failed"),
        (sized(2, len(LONG), b"\xff\xff\xff"), "Decompression failed"),
    ],
)
def test_damaged_compression_is_refused_before_it_takes_memory(stored: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        expanded(stored)
    with pytest.raises(ValueError, match=text):
        values.Values(values.Raw(), "zstd").decode(stored)


def test_a_value_that_could_not_be_read_back_is_refused() -> None:
    stored = values.Values(values.Raw(), "lz4")
    largest = bytes(VALUE_BYTES_MAX)
    assert stored.decode(stored.encode(largest)) == largest
    with pytest.raises(InvalidRequest, match=f"a value has at most {VALUE_BYTES_MAX} bytes before compression, not "):
        stored.encode(largest + b"\0")
