"""A sharded, ordered, persistent key-value store that every process of a Python service can share."""

from importlib.metadata import PackageNotFoundError, version

from shardstore.admin_messages import PlannedChange, RangeRow
from shardstore.client.async_scan_iterator import AsyncScanIterator
from shardstore.client.asyncio_admin import AsyncAdmin
from shardstore.client.asyncio_client import AsyncClient, connect_async
from shardstore.client.blocking_admin import Admin
from shardstore.client.blocking_client import Client, connect
from shardstore.client.scan_iterator import ScanIterator
from shardstore.cluster.local_cluster import LocalCluster
from shardstore.errors import (
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
)
from shardstore.options import ScanMode
from shardstore.outcome import Ending, Outcome
from shardstore.segment_options import Compression, SegmentOptions
from shardstore.topology_options import TopologyOptions

try:
    __version__ = version("shardstore")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"

__all__ = [
    "Admin",
    "AsyncAdmin",
    "AsyncClient",
    "AsyncScanIterator",
    "Busy",
    "Client",
    "Closed",
    "Compression",
    "Corruption",
    "DiskFull",
    "Ending",
    "InvalidRequest",
    "LocalCluster",
    "Outcome",
    "OutcomeUnknown",
    "PlannedChange",
    "RangeRow",
    "ScanInvalidated",
    "ScanIterator",
    "ScanMode",
    "SegmentOptions",
    "ShardstoreError",
    "StorageFailure",
    "TopologyOptions",
    "Unavailable",
    "__version__",
    "connect",
    "connect_async",
]
