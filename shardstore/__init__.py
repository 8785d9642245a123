"""A sharded, ordered, persistent key-value store that every process of a Python service can share."""

from importlib.metadata import PackageNotFoundError, version

from shardstore.client.asyncio_client import AsyncClient, connect_async
from shardstore.client.blocking_client import Client, connect
from shardstore.cluster.local_cluster import LocalCluster
from shardstore.errors import (
    Busy,
    Closed,
    Corruption,
    DiskFull,
    InvalidRequest,
    OutcomeUnknown,
    ShardstoreError,
    StorageFailure,
    Unavailable,
)

try:
    __version__ = version("shardstore")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"

__all__ = [
    "AsyncClient",
    "Busy",
    "Client",
    "Closed",
    "Corruption",
    "DiskFull",
    "InvalidRequest",
    "LocalCluster",
    "OutcomeUnknown",
    "ShardstoreError",
    "StorageFailure",
    "Unavailable",
    "__version__",
    "connect",
    "connect_async",
]
