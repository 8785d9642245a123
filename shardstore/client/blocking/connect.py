"""`connect`, which makes a blocking client."""

from __future__ import annotations

import os

from shardstore.client.blocking.client import Client
from shardstore.client.direct.direct_reads import DIRECT_READS_MEMORY
from shardstore.client.fork_hook import REOPEN
from shardstore.client.surroundings import surroundings_of


def connect(
    where: str | os.PathLike[str] | None = None,
    direct: bool = True,
    *,
    timeout: float | None = None,
    fork: str = REOPEN,
    direct_reads: bool = True,
    memory: int | str = DIRECT_READS_MEMORY,
    key: str | os.PathLike[str] | None = None,
) -> Client:
    """Connect to a cluster, found by its data directory on this host or by its url.

    Args:
        where: The path of the store's data directory, or a url like "unix:///run/app/store" or "tcp://127.0.0.1:7700".
            None: what the variable SHARDSTORE_URL or else SHARDSTORE_DATA says.
        direct: Talk to workers directly where their sockets can be reached; False: only through the router, also for
            reads.
        timeout: Seconds; None is 30.
        fork: What the client does in the child of a fork: connect anew ("reopen"), or raise Closed ("refuse").
        direct_reads: Read keys and scan in the files of the store where that is possible; False: always ask a worker.
            An error of the disk under such a file ends the program. See docs/architecture/direct_reads.md.
        memory: For the indexes of these files: a number of bytes, or text like "64MiB". An open scan may take 16 MiB.
        key: The path of a key file (`shardstore keys new`), for a tcp url of a store that asks for keys. None: what the
            variable SHARDSTORE_KEY says. See docs/security.md.

    Returns:
        A client. Close it, by hand or with `with`.

    Raises:
        InvalidRequest: An argument is not allowed, or `where` and both variables are missing.
        AccessDenied: The store does not let this client in.
        Unavailable: No router answered: within `timeout`, or within 2 seconds if nobody listens.
    """
    client = Client(surroundings_of(where, direct, fork, direct_reads, memory, key))
    try:
        client._open(timeout)
    except BaseException:
        client.close()
        raise
    return client
