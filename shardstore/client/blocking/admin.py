"""What `Client.admin` is: the ranges of the cluster, for its operator."""

from __future__ import annotations

from collections.abc import Callable

from shardstore.client.calls import administration
from shardstore.client.calls.calls import Administer
from shardstore.wire.admin_messages import AdminReply, PlannedChange, RangeRow


class Admin:
    """Changes of ranges and workers. The store does the same by itself; this is for who knows better.

    Each change is made before the method returns, while reads and writes go on, and is answered with what was done and
    why. With `dry_run` nothing is done, and the answer is what would be. `timeout` is in seconds, None is 30; a change
    that is not done by then goes on, and the method raises OutcomeUnknown, as it does when the router dies meanwhile:
    `ranges` tells what was done. What cannot be done raises InvalidRequest;
    while another change of such a range runs, the method waits for that, and raises Busy at its timeout.
    """

    def __init__(self, call: Callable[[Administer], AdminReply]) -> None:
        self._call = call

    def split(self, key: bytes, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
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
        return self._call(administration.split(key, dry_run, timeout)).changes

    def merge(self, key: bytes, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
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
        return self._call(administration.merge(key, dry_run, timeout)).changes

    def move(self, key: bytes, to: int, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
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
        return self._call(administration.move(key, to, dry_run, timeout)).changes

    def rebalance(self, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
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
        return self._call(administration.rebalance(dry_run, timeout)).changes

    def ranges(self, *, timeout: float | None = None) -> list[RangeRow]:
        """Return all ranges in key order, with owner, size and load.

        Args:
            timeout: Seconds to wait; None is 30.

        Returns:
            A row for each range.

        Raises:
            Unavailable: Nobody answered in time.
            Closed: The client was closed.
        """
        return self._call(administration.ranges(timeout)).ranges

    def add_worker(self, *, dry_run: bool = False, timeout: float | None = None) -> int:
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
        return self._call(administration.add_worker(dry_run, timeout)).worker

    def drain_worker(self, worker: int, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
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
        return self._call(administration.drain_worker(worker, dry_run, timeout)).changes
