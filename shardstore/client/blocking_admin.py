"""What `Client.admin` is: the ranges of the cluster, for its operator."""

from __future__ import annotations

from collections.abc import Callable

from shardstore.admin_messages import AdminReply, PlannedChange, RangeRow
from shardstore.client import administration
from shardstore.client.calls import Administer


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
        """Make two ranges of the one with this key, which begins the second. Both stay with their worker."""
        return self._call(administration.split(key, dry_run, timeout)).changes

    def merge(self, key: bytes, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
        """Make one range of the one with this key and its right neighbour."""
        return self._call(administration.merge(key, dry_run, timeout)).changes

    def move(self, key: bytes, to: int, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
        """Give the range with this key to the worker `to`."""
        return self._call(administration.move(key, to, dry_run, timeout)).changes

    def rebalance(self, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
        """Move ranges so that the workers carry like loads."""
        return self._call(administration.rebalance(dry_run, timeout)).changes

    def ranges(self, *, timeout: float | None = None) -> list[RangeRow]:
        """All ranges in key order, with owner, size and load."""
        return self._call(administration.ranges(timeout)).ranges

    def add_worker(self, *, dry_run: bool = False, timeout: float | None = None) -> int:
        """Start a further worker, which has no ranges yet; answers its number."""
        return self._call(administration.add_worker(dry_run, timeout)).worker

    def drain_worker(self, worker: int, *, dry_run: bool = False, timeout: float | None = None) -> list[PlannedChange]:
        """Move all ranges of a worker to the others, and wait until it has ended.

        It ends after the scans that it holds open; one that nobody goes on with is over after 30 s.
        """
        return self._call(administration.drain_worker(worker, dry_run, timeout)).changes
