"""The settings of a cluster that a caller may choose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shardstore.cluster.settings import cluster_settings, default_workers
from shardstore.errors import InvalidRequest
from shardstore.options import Durability


def test_defaults(tmp_path: Path) -> None:
    settings = cluster_settings(tmp_path)
    assert (settings.workers, settings.boundaries, settings.listen) == (None, None, None)
    assert (settings.memory, settings.durability) == (2**30, Durability.GROUP_SYNC)
    assert default_workers() >= 2


def test_a_number_of_ranges_is_spread_over_the_first_two_bytes(tmp_path: Path) -> None:
    assert cluster_settings(tmp_path, ranges=4).boundaries == (b"\x40\x00", b"\x80\x00", b"\xc0\x00")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"data": __file__}, "is no directory"),
        ({"workers": 0}, "1 to 256 workers"),
        ({"workers": 300}, "1 to 256 workers"),
        ({"memory": "1 MiB"}, "96 MiB for each worker; give it that"),
        ({"memory": 512}, "memory=512 bytes is too little"),
        ({"memory": -5}, "memory=-5 bytes is too little"),
        ({"memory": "plenty"}, "is no size"),
        ({"durability": "maybe"}, "one of async, group_sync, sync"),
        ({"memory": "1000TiB"}, r"memory=1,048,576,000 MiB is more than the [\d,]+ MiB of this host: give it less"),
        ({"memory": 10**30}, "MiB of this host"),
        ({"ranges": 0}, "ranges: a store has 1 to 65536 ranges, not 0"),
        ({"ranges": 10**9}, "ranges: a store has 1 to 65536 ranges, not 1000000000"),
        ({"ranges": [b"b", b"a"]}, "ranges: the keys at which ranges begin ascend, and none is empty: .* not in order"),
        ({"ranges": [b""]}, "ranges: the keys at which ranges begin ascend, and none is empty"),
        ({"ranges": ["a"]}, "ranges is a number, or a list of keys in bytes at which ranges begin, not 'a'"),
        ({"ranges": [b"a", 7]}, "ranges is a number, or a list of keys in bytes at which ranges begin, not 7"),
        ({"ranges": "ab"}, "ranges is a number, or a list of keys in bytes at which ranges begin, not 'ab'"),
        ({"ranges": b"ab"}, "ranges is a number, or a list of keys in bytes at which ranges begin, not b'ab'"),
        ({"ranges": 2.0}, "ranges is a number, or a list of keys in bytes at which ranges begin, not 2.0"),
        ({"socket": ""}, "socket is the path of a socket, not ''"),
        ({"listen": "tcp://0.0.0.0:1"}, "so it needs keys of clients"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, setting: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        cluster_settings(**({"data": tmp_path} | setting))
