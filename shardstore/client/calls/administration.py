"""Makes a call from the arguments of an operator's method, for both clients. Raises InvalidRequest."""

from __future__ import annotations

from typing import Any

from shardstore.client.calls.arguments import checked_key, checked_timeout_ns
from shardstore.client.calls.calls import Administer
from shardstore.errors import InvalidRequest
from shardstore.limits import WORKERS_MAX
from shardstore.wire.admin_messages import Action, AdminRequest
from shardstore.wire.topology import Resolution


def split(key: Any, dry_run: bool, timeout: float | None) -> Administer:
    """Split the range with the key into two."""
    return _call(timeout, AdminRequest(Action.SPLIT.value, checked_key(key), dry_run=dry_run))


def merge(key: Any, dry_run: bool, timeout: float | None) -> Administer:
    """Merge the range with the key and the next range."""
    return _call(timeout, AdminRequest(Action.MERGE.value, checked_key(key), dry_run=dry_run))


def move(key: Any, to: Any, dry_run: bool, timeout: float | None) -> Administer:
    """Move the range with the key to another worker."""
    return _call(timeout, AdminRequest(Action.MOVE.value, checked_key(key), _checked_worker(to), dry_run))


def rebalance(dry_run: bool, timeout: float | None) -> Administer:
    """Move ranges so that the load is spread."""
    return _call(timeout, AdminRequest(Action.REBALANCE.value, dry_run=dry_run))


def ranges(timeout: float | None) -> Administer:
    """List all ranges."""
    return _call(timeout, AdminRequest(Action.RANGES.value))


def changes(timeout: float | None) -> Administer:
    """List the changes of ranges that are under way."""
    return _call(timeout, AdminRequest(Action.CHANGES.value))


def resolve_change(change: Any, how: Any, dry_run: bool, timeout: float | None) -> Administer:
    """Cancel or complete a change that cannot go on."""
    if type(change) is not int or not 0 < change < 2**64:
        raise InvalidRequest(f"a change is named by its number, as in `changes`, not {change!r}")
    if type(how) is not str or how not in list(Resolution):
        raise InvalidRequest(f"how is 'cancel' or 'complete', not {how!r}")
    return _call(timeout, AdminRequest(Action.RESOLVE.value, dry_run=dry_run, change=change, resolution=str(how)))


def keep_together(prefix: bytes, timeout: float | None) -> Administer:
    """Let no range begin within a prefix."""
    return _call(timeout, AdminRequest(Action.KEEP_TOGETHER.value, prefix))


def let_split(prefix: bytes, timeout: float | None) -> Administer:
    """Let ranges begin within a prefix again."""
    return _call(timeout, AdminRequest(Action.LET_SPLIT.value, prefix))


def add_worker(dry_run: bool, timeout: float | None) -> Administer:
    """Start another worker."""
    return _call(timeout, AdminRequest(Action.ADD_WORKER.value, dry_run=dry_run))


def drain_worker(worker: Any, dry_run: bool, timeout: float | None) -> Administer:
    """Move all ranges of a worker to the others."""
    return _call(timeout, AdminRequest(Action.DRAIN_WORKER.value, worker=_checked_worker(worker), dry_run=dry_run))


def _call(timeout: float | None, request: AdminRequest) -> Administer:
    if type(request.dry_run) is not bool:
        raise InvalidRequest(f"dry_run is True or False, not {request.dry_run!r}")
    return Administer(checked_timeout_ns(timeout), request)


def _checked_worker(worker: Any) -> int:
    if type(worker) is not int or not 0 <= worker < WORKERS_MAX:
        raise InvalidRequest(f"a worker is named by its number, 0 to {WORKERS_MAX - 1}, not {worker!r}")
    return worker
