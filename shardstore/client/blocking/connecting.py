"""How a blocking client is made."""

from __future__ import annotations

import os

from shardstore.client.blocking.client import Client
from shardstore.client.forking import REOPEN
from shardstore.client.opening import surroundings_of


def connect(
    where: str | os.PathLike[str] | None = None,
    direct: bool = True,
    *,
    timeout: float | None = None,
    fork: str = REOPEN,
) -> Client:
    """A client of the cluster on this host that serves a data directory, or of the cluster at a url.

    `where`: the path of the directory, or the url. Without it the variable SHARDSTORE_URL or SHARDSTORE_DATA says so.
    `direct`: talk to workers whose endpoints can be reached, instead of through the router only.
    `fork`: in the child of a fork the client opens itself anew ("reopen"), or raises Closed ("refuse").
    Raises Unavailable when no router answers in time.
    """
    client = Client(surroundings_of(where, direct, fork))
    try:
        client._open(timeout)
    except BaseException:
        client.close()
        raise
    return client
