"""The cluster that a script uses: a running one, or a new one that ends with the script."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from shardstore import LocalCluster


@contextmanager
def cluster_at(
    url: str | None,
    data: str | None = None,
    workers: int | None = 2,
    durability: str = "group_sync",
) -> Iterator[str]:
    """The given url; without one, the url of a new cluster in `data` or in a temporary directory."""
    if url is not None:
        yield url
        return
    with ExitStack() as stack:
        data = data or stack.enter_context(tempfile.TemporaryDirectory(prefix="shardstore-"))
        cluster = LocalCluster(data, workers=workers, durability=durability)
        yield stack.enter_context(cluster).url
