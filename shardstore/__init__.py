"""A sharded, ordered, persistent key-value store that every process of a Python service can share.

A name that takes long to load is loaded when it is used first: a client needs no supervisor, a command no asyncio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardstore.errors import (
    AccessDenied,
    Busy,
    Closed,
    Corruption,
    DiskFull,
    InvalidRequest,
    OutcomeUnknown,
    ScanInvalidated,
    ShardstoreError,
    StorageFailure,
    Unavailable,
    UndecodableKey,
    UndecodableValue,
)

if TYPE_CHECKING:
    from shardstore import keys, values
    from shardstore.client.aio.admin import AsyncAdmin
    from shardstore.client.aio.batch import AsyncBatch
    from shardstore.client.aio.client import AsyncClient
    from shardstore.client.aio.connect import connect_async
    from shardstore.client.aio.scan import AsyncScanIterator
    from shardstore.client.aio.space import AsyncSpace
    from shardstore.client.aio.space_batch import AsyncSpaceBatch
    from shardstore.client.blocking.admin import Admin
    from shardstore.client.blocking.batch import Batch
    from shardstore.client.blocking.client import Client
    from shardstore.client.blocking.connect import connect
    from shardstore.client.blocking.scan import ScanIterator
    from shardstore.client.blocking.space import Space
    from shardstore.client.blocking.space_batch import SpaceBatch
    from shardstore.cluster.local_cluster import LocalCluster
    from shardstore.estimate import Estimate
    from shardstore.options import Durability, ScanMode
    from shardstore.outcome import Ending, Outcome
    from shardstore.segment_options import Compression, SegmentOptions
    from shardstore.spaces.infos import SpaceInfo
    from shardstore.stats_schema import NoStats, RouterStats, Stats, WorkerStats
    from shardstore.topology_options import TopologyOptions
    from shardstore.wire.admin_messages import Loss, PendingChange, PlannedChange, RangeRow

    __version__: str

__all__ = [
    "AccessDenied",
    "Admin",
    "AsyncAdmin",
    "AsyncBatch",
    "AsyncClient",
    "AsyncScanIterator",
    "AsyncSpace",
    "AsyncSpaceBatch",
    "Batch",
    "Busy",
    "Client",
    "Closed",
    "Compression",
    "Corruption",
    "DiskFull",
    "Durability",
    "Ending",
    "Estimate",
    "InvalidRequest",
    "LocalCluster",
    "Loss",
    "NoStats",
    "Outcome",
    "OutcomeUnknown",
    "PendingChange",
    "PlannedChange",
    "RangeRow",
    "RouterStats",
    "ScanInvalidated",
    "ScanIterator",
    "ScanMode",
    "SegmentOptions",
    "ShardstoreError",
    "Space",
    "SpaceBatch",
    "SpaceInfo",
    "Stats",
    "StorageFailure",
    "TopologyOptions",
    "Unavailable",
    "UndecodableKey",
    "UndecodableValue",
    "WorkerStats",
    "__version__",
    "connect",
    "connect_async",
    "keys",
    "values",
]


# ruff: noqa: PLC0415


def _load(name: str) -> object:
    """A name that is not there yet; from then on it is."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = _value_of(name)
    return value


def _value_of(name: str) -> object:
    value: object
    match name:
        case "__version__":
            value = _version()
        case "keys":
            import shardstore.keys as value
        case "values":
            import shardstore.values as value
        case "AsyncSpace" | "AsyncSpaceBatch" | "Space" | "SpaceBatch" | "SpaceInfo":
            value = getattr(_home_for_spaces(name), name)
        case _:
            value = getattr(_home_of(name), name)
    return value


def _home_for_spaces(name: str) -> object:
    """A module that has a public name for spaces."""
    home: object
    match name:
        case "AsyncSpace":
            from shardstore.client.aio import space as home
        case "AsyncSpaceBatch":
            from shardstore.client.aio import space_batch as home
        case "Space":
            from shardstore.client.blocking import space as home
        case "SpaceBatch":
            from shardstore.client.blocking import space_batch as home
        case _:
            from shardstore.spaces import infos as home
    return home


def _home_of(name: str) -> object:
    """A module that has a public name."""
    home: object
    match name:
        case "LocalCluster":
            from shardstore.cluster import local_cluster as home
        case "Admin" | "Client" | "ScanIterator":
            from shardstore.client.blocking import client as home
        case "Batch":
            from shardstore.client.blocking import batch as home
        case "connect":
            from shardstore.client.blocking import connect as home
        case "AsyncAdmin" | "AsyncClient" | "AsyncScanIterator":
            from shardstore.client.aio import client as home
        case "AsyncBatch":
            from shardstore.client.aio import batch as home
        case "connect_async":
            from shardstore.client.aio import connect as home
        case _:
            return _home_of_value(name)
    return home


def _home_of_value(name: str) -> object:
    """A module that has a public name of what clients take or return."""
    home: object
    match name:
        case "Loss" | "PendingChange" | "PlannedChange" | "RangeRow":
            from shardstore.wire import admin_messages as home
        case "Ending" | "Outcome":
            from shardstore import outcome as home
        case "Estimate":
            from shardstore import estimate as home
        case "Compression" | "SegmentOptions":
            from shardstore import segment_options as home
        case "NoStats" | "RouterStats" | "Stats" | "WorkerStats":
            from shardstore import stats_schema as home
        case _:
            from shardstore import options as home
    return home


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("shardstore")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0+unknown"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if not TYPE_CHECKING:
    __getattr__ = _load
