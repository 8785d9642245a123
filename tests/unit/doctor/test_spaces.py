"""The registry of spaces: documents that cannot be read, numbers that are not distinct or above the counter."""

from __future__ import annotations

from shardstore.doctor.findings import Kind
from shardstore.doctor.spaces import flaws_in_registry
from shardstore.spaces.document import SpaceDocument
from shardstore.spaces.reserved import COUNTER_KEY, document_key


def flaws(entries: dict[bytes, bytes]) -> list[str]:
    found = list(flaws_in_registry({key: (value, "segments/00000001") for key, value in entries.items()}))
    assert all((each.kind, each.file) == (Kind.SPACES, "segments/00000001") for each in found)
    return [each.what for each in found]


def space(name: str, number: int) -> dict[bytes, bytes]:
    return {document_key(name): SpaceDocument(number, "Str", "Raw/1").encode()}


def test_a_sound_registry_has_no_flaws() -> None:
    assert flaws({}) == []
    assert flaws({COUNTER_KEY: b"3", **space("one", 1), **space("three", 3)}) == []


def test_two_spaces_with_the_same_prefix() -> None:
    found = flaws({COUNTER_KEY: b"3", **space("a", 2), **space("b", 2)})
    assert found == ["the spaces 'a' and 'b' have the same prefix, number 2"]


def test_a_number_above_the_counter_and_a_counter_that_is_none() -> None:
    assert flaws({COUNTER_KEY: b"1", **space("a", 2)}) == ["the space 'a' has number 2, and the counter is only at 1"]
    [counter] = flaws({COUNTER_KEY: b"many", **space("a", 2)})
    assert counter.startswith(f"the counter of spaces at {COUNTER_KEY!r} is none: ")


def test_a_document_that_cannot_be_read() -> None:
    [found] = flaws({COUNTER_KEY: b"1", document_key("a"): b"\x80"})
    assert found == "the document of the space 'a' is none: no document of a space"
