"""BOARD: the incarnation and the path of a board."""

from __future__ import annotations

import pytest

from shardstore.files.board_place import (
    INCARNATION_MAX,
    MAGIC,
    PLACE_BYTES,
    incarnation_in,
    next_incarnation,
    path_in,
)


@pytest.mark.parametrize("path", [b"", b"/run/user/0/shardstore-1/board-0", "/tmp/\N{SNOWMAN}".encode()])
def test_what_is_in_the_file(path: bytes) -> None:
    place = (MAGIC + (7).to_bytes(8, "little") + path).ljust(PLACE_BYTES, b"\0")
    assert (incarnation_in(place), path_in(place)) == (7, path)


def test_the_next_incarnation_is_another_one_and_never_0() -> None:
    assert [next_incarnation(former) for former in (0, 1, INCARNATION_MAX - 1)] == [1, 2, INCARNATION_MAX]
    assert next_incarnation(INCARNATION_MAX) == 1
