"""`AsyncClient.admin`: the counterpart of blocking/admin.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shardstore.client.calls import administration
from shardstore.client.calls.calls import Administer
from shardstore.wire.admin_messages import AdminReply, Loss, PendingChange, PlannedChange, RangeRow


class AsyncAdmin:
    """The methods of an operator: changes of ranges and workers. They are those of Admin."""

    def __init__(self, call: Callable[[Administer], Awaitable[AdminReply]]) -> None:
        self._call = call

    async def split(self, key: bytes, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
        """Split the range with this key into two. Both stay with their worker.

        Args:
            key: The first key of the second range, 1 to 4,096 bytes.
            dry_run: Return what would be done, and do nothing.
            timeout: Seconds; None is 30. A change that has begun continues after it.

        Returns:
            The changes that were made or, with `dry_run`, would be made, each with its reason.

        Raises:
            InvalidRequest: An argument is not allowed, or it cannot be done; the message says why.
            Busy: Another change of the range was under way until `timeout`.
            OutcomeUnknown: It was not complete in time, or the router died. Look at `ranges`.
            Unavailable: Nobody answered in time. Nothing was begun.
            StorageFailure: The disk takes no new route map. Nothing was begun.
            Closed: The client was closed. What was begun continues.
        """
        return (await self._call(administration.split(key, dry_run, timeout))).changes

    async def merge(self, key: bytes, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
        """Merge the range with this key and the range behind it into one.

        Args:
            key: A key in the first of the two ranges, 1 to 4,096 bytes.
            dry_run: Return what would be done, and do nothing.
            timeout: Seconds; None is 30. A change that has begun continues after it.

        Returns:
            The changes that were made or, with `dry_run`, would be made, each with its reason.

        Raises:
            InvalidRequest: An argument is not allowed, or it cannot be done; the message says why.
            Busy: Another change of one of the ranges was under way until `timeout`.
            OutcomeUnknown: It was not complete in time, or the router died. Look at `ranges`.
            Unavailable: Nobody answered in time. Nothing was begun.
            StorageFailure: The disk takes no new route map. Nothing was begun.
            Closed: The client was closed. What was begun continues.
        """
        return (await self._call(administration.merge(key, dry_run, timeout))).changes

    async def move(
        self, key: bytes, to: int, *, dry_run: bool = False, timeout: float | None = None
    ) -> list[PlannedChange]:
        """Give a range to another worker.

        Args:
            key: A key in the range, 1 to 4,096 bytes.
            to: The number of the worker.
            dry_run: Return what would be done, and do nothing.
            timeout: Seconds; None is 30. A change that has begun continues after it.

        Returns:
            The changes that were made or, with `dry_run`, would be made, each with its reason.

        Raises:
            InvalidRequest: An argument is not allowed, or it cannot be done; the message says why.
            Busy: Another change of the range was under way, or the worker took no ranges, until `timeout`.
            OutcomeUnknown: It was not complete in time, or the router died. Look at `ranges`.
            Unavailable: Nobody answered in time. Nothing was begun.
            StorageFailure: The disk takes no new route map. Nothing was begun.
            Closed: The client was closed. What was begun continues.
        """
        return (await self._call(administration.move(key, to, dry_run, timeout))).changes

    async def rebalance(self, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
        """Move ranges so that the load is spread over the workers.

        Args:
            dry_run: Return what would be done, and do nothing.
            timeout: Seconds; None is 30. A change that has begun continues after it.

        Returns:
            The changes that were made or, with `dry_run`, would be made, each with its reason.

        Raises:
            InvalidRequest: An argument is not allowed.
            Busy: Another change of one of the ranges was under way until `timeout`.
            OutcomeUnknown: It was not complete in time, or the router died. Look at `ranges`.
            Unavailable: Nobody answered in time. Nothing was begun.
            StorageFailure: The disk takes no new route map. Nothing was begun.
            Closed: The client was closed. What was begun continues.
        """
        return (await self._call(administration.rebalance(dry_run, timeout))).changes

    async def ranges(self, *, timeout: float | None = None) -> list[RangeRow]:
        """Return all ranges in key order, with owner, size and load.

        Args:
            timeout: Seconds; None is 30.

        Returns:
            A row for each range.

        Raises:
            InvalidRequest: `timeout` is not allowed.
            Unavailable: Nobody answered in time.
            Closed: The client was closed.
        """
        return (await self._call(administration.ranges(timeout))).ranges

    async def changes(self, *, timeout: float | None = None) -> list[PendingChange]:
        """Return the changes of ranges that are under way, and what each waits for.

        Args:
            timeout: Seconds; None is 30.

        Returns:
            A row for each change, the oldest first.

        Raises:
            InvalidRequest: `timeout` is not allowed.
            Unavailable: Nobody answered in time.
            Closed: The client was closed.
        """
        return (await self._call(administration.changes(timeout))).pending

    async def resolve_change(
        self, change: int, how: str, *, dry_run: bool = False, timeout: float | None = None
    ) -> list[Loss]:
        """Cancel or complete a change that cannot go on, because a parent is damaged or its worker does not come back.

        Cancelled, the ranges are again as they were before the change, with what they held then. Completed, the new
        ranges get what can be read of the old ones. In either case new segments or those of the change are served,
        never the old ones again. Directories of segments that are given up are set aside, not removed. Workers that
        have such a segment open are restarted.

        Args:
            change: Its number, as in `changes`.
            how: "cancel" or "complete".
            dry_run: Return what may be lost, and do nothing.
            timeout: Seconds; None is 30. What has begun continues after it.

        Returns:
            What may be lost, nothing else is; an empty list if nothing is.

        Raises:
            InvalidRequest: An argument is not allowed, or it cannot be done; the message says why.
            OutcomeUnknown: It was not complete in time, or the router died. Look at `changes`.
            Unavailable: Nobody answered in time. Nothing was begun.
            StorageFailure: The disk takes no new route map. Nothing was begun.
            Closed: The client was closed. What was begun continues.
        """
        return (await self._call(administration.resolve_change(change, how, dry_run, timeout))).losses

    async def add_worker(self, *, dry_run: bool = False, timeout: float | None = None) -> int:
        """Start another worker. It has no ranges yet, and may not serve yet when this returns.

        Args:
            dry_run: Return what would be done, and do nothing.
            timeout: Seconds; None is 30. A change that has begun continues after it.

        Returns:
            The number of the new worker.

        Raises:
            InvalidRequest: An argument is not allowed, or it cannot be done; the message says why.
            OutcomeUnknown: It was not complete in time, or the router died. Look at `ranges`.
            Unavailable: Nobody answered in time. Nothing was begun.
            StorageFailure: The disk takes no new route map. Nothing was begun.
            Closed: The client was closed. What was begun continues.
        """
        return (await self._call(administration.add_worker(dry_run, timeout))).worker

    async def drain_worker(
        self, worker: int, *, dry_run: bool = False, timeout: float | None = None
    ) -> list[PlannedChange]:
        """Move all ranges of a worker to the others, and wait until it has left the store.

        It leaves after the scans that it holds open; an abandoned scan ends after 30 seconds.

        Args:
            worker: The number of the worker.
            dry_run: Return what would be done, and do nothing.
            timeout: Seconds; None is 30. A change that has begun continues after it.

        Returns:
            The changes that were made or, with `dry_run`, would be made, each with its reason.

        Raises:
            InvalidRequest: An argument is not allowed, or it cannot be done; the message says why.
            OutcomeUnknown: It was not complete in time, or the router died. Look at `ranges`.
            Unavailable: Nobody answered in time. Nothing was begun.
            StorageFailure: The disk takes no new route map. Nothing was begun.
            Closed: The client was closed. What was begun continues.
        """
        return (await self._call(administration.drain_worker(worker, dry_run, timeout))).changes
