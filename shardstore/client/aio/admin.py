"""What `AsyncClient.admin` is: the counterpart of blocking/admin.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shardstore.client.calls import administration
from shardstore.client.calls.calls import Administer
from shardstore.wire.admin_messages import AdminReply, PlannedChange, RangeRow


class AsyncAdmin:
    """Changes of ranges and workers. Its methods are those of Admin."""

    def __init__(self, call: Callable[[Administer], Awaitable[AdminReply]]) -> None:
        self._call = call

    async def split(self, key: bytes, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
        """Make two ranges of the one with this key. Both stay with their worker.

        Args:
            key: The first key of the second range, 1 to 4,096 bytes.
            dry_run: Do nothing, and return what would be done.
            timeout: Seconds to wait; None is 30. A change that has begun goes on.

        Returns:
            The changes that were made, each with its reason.

        Raises:
            InvalidRequest: It cannot be done; the error says why.
            Busy: Another change of the range still runs.
            OutcomeUnknown: It was not done in time, or the router died; `ranges` tells what was done.
            Unavailable: Nobody answered in time.
            Closed: The client was closed.
        """
        return (await self._call(administration.split(key, dry_run, timeout))).changes

    async def merge(self, key: bytes, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
        """Make one range of the one with this key and its right neighbour.

        Args:
            key: A key in the left range, 1 to 4,096 bytes.
            dry_run: Do nothing, and return what would be done.
            timeout: Seconds to wait; None is 30. A change that has begun goes on.

        Returns:
            The changes that were made, each with its reason.

        Raises:
            InvalidRequest: It cannot be done; the error says why.
            Busy: Another change of the range still runs.
            OutcomeUnknown: It was not done in time, or the router died; `ranges` tells what was done.
            Unavailable: Nobody answered in time.
            Closed: The client was closed.
        """
        return (await self._call(administration.merge(key, dry_run, timeout))).changes

    async def move(
        self, key: bytes, to: int, *, dry_run: bool = False, timeout: float | None = None
    ) -> list[PlannedChange]:
        """Give a range to another worker.

        Args:
            key: A key in the range, 1 to 4,096 bytes.
            to: The number of the worker.
            dry_run: Do nothing, and return what would be done.
            timeout: Seconds to wait; None is 30. A change that has begun goes on.

        Returns:
            The changes that were made, each with its reason.

        Raises:
            InvalidRequest: It cannot be done; the error says why.
            Busy: Another change of the range still runs.
            OutcomeUnknown: It was not done in time, or the router died; `ranges` tells what was done.
            Unavailable: Nobody answered in time.
            Closed: The client was closed.
        """
        return (await self._call(administration.move(key, to, dry_run, timeout))).changes

    async def rebalance(self, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
        """Move ranges so that the workers carry like loads.

        Args:
            dry_run: Do nothing, and return what would be done.
            timeout: Seconds to wait; None is 30. A change that has begun goes on.

        Returns:
            The changes that were made, each with its reason.

        Raises:
            InvalidRequest: It cannot be done; the error says why.
            Busy: Another change of the range still runs.
            OutcomeUnknown: It was not done in time, or the router died; `ranges` tells what was done.
            Unavailable: Nobody answered in time.
            Closed: The client was closed.
        """
        return (await self._call(administration.rebalance(dry_run, timeout))).changes

    async def ranges(self, *, timeout: float | None = None) -> list[RangeRow]:
        """Return all ranges in key order, with owner, size and load.

        Args:
            timeout: Seconds to wait; None is 30.

        Returns:
            A row for each range.

        Raises:
            Unavailable: Nobody answered in time.
            Closed: The client was closed.
        """
        return (await self._call(administration.ranges(timeout))).ranges

    async def add_worker(self, *, dry_run: bool = False, timeout: float | None = None) -> int:
        """Start another worker. It has no ranges yet.

        Args:
            dry_run: Do nothing, and return what would be done.
            timeout: Seconds to wait; None is 30. A change that has begun goes on.

        Returns:
            The number of the worker.

        Raises:
            InvalidRequest: It cannot be done; the error says why.
            Busy: Another change of the range still runs.
            OutcomeUnknown: It was not done in time, or the router died; `ranges` tells what was done.
            Unavailable: Nobody answered in time.
            Closed: The client was closed.
        """
        return (await self._call(administration.add_worker(dry_run, timeout))).worker

    async def drain_worker(
        self, worker: int, *, dry_run: bool = False, timeout: float | None = None
    ) -> list[PlannedChange]:
        """Move all ranges of a worker to the others, and wait until it has ended.

        It ends after the scans that it holds open; an abandoned scan ends after 30 s.

        Args:
            worker: The number of the worker.
            dry_run: Do nothing, and return what would be done.
            timeout: Seconds to wait; None is 30. A change that has begun goes on.

        Returns:
            The changes that were made, each with its reason.

        Raises:
            InvalidRequest: It cannot be done; the error says why.
            Busy: Another change of the range still runs.
            OutcomeUnknown: It was not done in time, or the router died; `ranges` tells what was done.
            Unavailable: Nobody answered in time.
            Closed: The client was closed.
        """
        return (await self._call(administration.drain_worker(worker, dry_run, timeout))).changes
