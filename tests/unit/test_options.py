"""Options are passed to a process as one argument, and sizes are read in the usual notation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shardstore.errors import InvalidRequest
from shardstore.identifiers import DirectoryIdentity
from shardstore.limits import GIB, KIB, MIB, WORKERS_MAX
from shardstore.memory_plan import derive
from shardstore.options import (
    Durability,
    InspectionOptions,
    MaintenanceOptions,
    RouterOptions,
    SocketAccess,
    WorkerOptions,
    check_workers,
    from_argument,
    parse_size,
    to_argument,
)
from shardstore.segment_options import Compression, SegmentOptions
from shardstore.topology_options import TopologyOptions


@pytest.mark.parametrize(
    "options",
    [
        RouterOptions(
            "data",
            "store",
            "tcp://127.0.0.1:0",
            "unix:///tmp/w",
            2,
            ("40",),
            derive(GIB, 2),
            workers_asked=3,
            access=SocketAccess(0o660, "app"),
            status_fd=5,
        ),
        RouterOptions(
            "data", "store", "l", "i", 2, (), derive(GIB, 2), TopologyOptions(False, split_bytes=1 << 20, cooldown=0)
        ),
        WorkerOptions(
            *("data", "store", 1, "unix:///tmp/r", "unix:///tmp/w1", Durability.ASYNC, derive(GIB, 2)),
            access=SocketAccess(),
            identity=DirectoryIdentity(2049, 1317),
        ),
        MaintenanceOptions("data", 1, 7, 8, SegmentOptions(Compression.LZ4, part_min_bytes=1 << 17)),
        InspectionOptions("data", "STORE", 5, in_hex=True, as_json=False),
    ],
    ids=lambda options: type(options).__name__,
)
def test_options_come_back(options: Any) -> None:
    assert from_argument(type(options), to_argument(options)) == options


@pytest.mark.parametrize(
    "argument", ["", "{", "[]", "5", "null", "{}", '{"data": "d"}', '{"durability": "never"}', '{"boundaries": 5}']
)
@pytest.mark.parametrize("kind", [RouterOptions, WorkerOptions, MaintenanceOptions])
def test_an_argument_that_is_no_options_is_refused(kind: Any, argument: str) -> None:
    with pytest.raises(InvalidRequest, match=kind.__name__):
        from_argument(kind, argument)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        (5, 5),
        ("1048576", MIB),
        ("10 B", 10),
        ("1KiB", KIB),
        ("64mib", 64 * MIB),
        (" 1.5 GiB ", 3 * GIB // 2),
        ("2TiB", 2 * 1024 * GIB),
    ],
)
def test_sizes_are_read(text: str | int, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "MiB", "1 MB", "-1", "1e9", "0x10", "1.5.2 GiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is no size"):
        parse_size(text)


def test_the_number_of_workers_is_bounded() -> None:
    assert [check_workers(workers) for workers in (1, WORKERS_MAX)] == [1, WORKERS_MAX]
    for workers in (0, -1, WORKERS_MAX + 1):
        with pytest.raises(InvalidRequest, match="1 to 256 workers"):
            check_workers(workers)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"auto_topology": 1}, "True or False"),
        ({"split_bytes": 0}, "split_bytes is 1024 to"),
        ({"split_operations": 0}, "split_operations is 1 to"),
        ({"changes_max": 65}, "changes_max is 1 to 64, not 65"),
        ({"cooldown": -1}, "cooldown is 0 to 86400 seconds, not -1"),
        ({"cooldown": float("nan")}, "cooldown is 0 to 86400 seconds"),
    ],
)
def test_topology_options_that_make_no_sense_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        TopologyOptions(**setting)


@pytest.mark.parametrize("topology", [{"more": 1}, {"split_bytes": "1"}, []])
def test_router_options_with_another_topology_are_refused(topology: Any) -> None:
    values = json.loads(to_argument(RouterOptions("data", "store", "l", "i", 2, (), derive(GIB, 2))))
    with pytest.raises(InvalidRequest):
        from_argument(RouterOptions, json.dumps(values | {"topology": topology}))
