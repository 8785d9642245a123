"""What `AsyncClient.admin` is: the counterpart of blocking_admin.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shardstore.admin_messages import AdminReply, PlannedChange, RangeRow
from shardstore.client import administration
from shardstore.client.calls import Administer


class AsyncAdmin:
    """Changes of ranges and workers. Its methods are those of Admin."""

    def __init__(self, call: Callable[[Administer], Awaitable[AdminReply]]) -> None:
        self._call = call

    async def split(self, key: bytes, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
        """Make two ranges of the one with this key, which begins the second. Both stay with their worker."""
        return (await self._call(administration.split(key, dry_run, timeout))).changes

    async def merge(self, key: bytes, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
        """Make one range of the one with this key and its right neighbour."""
        return (await self._call(administration.merge(key, dry_run, timeout))).changes

    async def move(
        self, key: bytes, to: int, *, dry_run: bool = False, timeout: float | None = None
    ) -> list[PlannedChange]:
        """Give the range with this key to the worker `to`."""
        return (await self._call(administration.move(key, to, dry_run, timeout))).changes

    async def rebalance(self, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
        """Move ranges so that the workers carry like loads."""
        return (await self._call(administration.rebalance(dry_run, timeout))).changes

    async def ranges(self, *, timeout: float | None = None) -> list[RangeRow]:
        """All ranges in key order, with owner, size and load."""
        return (await self._call(administration.ranges(timeout))).ranges

    async def add_worker(self, *, dry_run: bool = False, timeout: float | None = None) -> int:
        """Start a further worker, which has no ranges yet; answers its number."""
        return (await self._call(administration.add_worker(dry_run, timeout))).worker

    async def drain_worker(
        self, worker: int, *, dry_run: bool = False, timeout: float | None = None
    ) -> list[PlannedChange]:
        """Move all ranges of a worker to the others, and wait until it has ended.

        It ends after the scans that it holds open; one that nobody goes on with is over after 30 s.
        """
        return (await self._call(administration.drain_worker(worker, dry_run, timeout))).changes
