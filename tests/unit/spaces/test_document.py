"""The document of a space: its bytes, and what is refused."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from shardstore.errors import UndecodableValue
from shardstore.spaces.document import DOCUMENT_BYTES_MAX, SpaceDocument, read_space_document
from shardstore.spaces.infos import infos_from
from shardstore.spaces.reserved import NUMBER_MAX, document_key

FIELDS: dict[str, Any] = {
    "version": 2,
    "number": 7,
    "key": "Str()",
    "value": "Json/1",
    "dropped": False,
    "together": False,
    "ttl_ms": 0,
}
FORMER = b"\x85\xa7version\x01\xa6number\x07\xa3key\xa5Str()\xa5value\xa6Json/1\xa7dropped\xc2"
NOW = (
    b"\x87\xa7version\x02\xa6number\x07\xa3key\xa5Str()\xa5value\xa6Json/1\xa7dropped\xc2\xa8together\xc3\xa6ttl_ms\x09"
)


def test_the_bytes_of_a_document_stay_as_they_are() -> None:
    document = SpaceDocument(7, "Str()", "Json/1", together=True, ttl_ms=9)
    assert document.encode() == NOW
    assert read_space_document("users", NOW) == document
    assert read_space_document("users", document.encoded_as_dropped) == document._replace(dropped=True)


def test_a_document_of_the_former_version_is_read_and_stays_one() -> None:
    document = read_space_document("users", FORMER)
    assert document == SpaceDocument(7, "Str()", "Json/1", version=1)
    assert document.encode() == FORMER, "a drop compares it with what is stored"
    assert read_space_document("users", document.encoded_as_dropped).dropped


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "no msgpack: "),
        (b"\xc1", "no msgpack: "),
        (b"\xdf\xff\xff\xff\xff", "no msgpack: "),
        (bytes(DOCUMENT_BYTES_MAX + 1), "no msgpack: "),
        (msgpack.packb([1]), "no document of a space"),
        (msgpack.packb({}), "no document of a space"),
        (msgpack.packb(FIELDS | {"version": True}), "no document of a space"),
        (msgpack.packb(FIELDS | {"version": 3, "more": 1}), "format version 3, this program ("),
        (msgpack.packb(FIELDS | {"more": 1}), "its fields are "),
        (msgpack.packb(FIELDS | {"key": b"Str()"}), "its fields are "),
        (msgpack.packb(FIELDS | {"number": 0}), "the number 0"),
        (msgpack.packb(FIELDS | {"number": NUMBER_MAX + 1}), "the number "),
        (msgpack.packb(FIELDS | {"ttl_ms": -1}), "the ttl_ms -1"),
        (msgpack.packb(FIELDS | {"key": "x" * 1_025}), "a description is too long"),
    ],
)
def test_damage_names_the_registry_and_the_space(data: bytes, what: str) -> None:
    with pytest.raises(UndecodableValue) as caught:
        read_space_document("users", data)
    assert (caught.value.space, caught.value.key) == ("the registry of spaces", "users")
    assert caught.value.what.startswith(what)


def test_documents_are_listed_by_name() -> None:
    pairs = [(document_key(name), SpaceDocument(at, "Str()", "Raw/1").encode()) for at, name in enumerate("ab", 1)]
    infos = infos_from(pairs)
    assert list(infos) == ["a", "b"]
    assert infos["b"] == ("b", "Str()", "Raw/1", 2, False, False, None)
