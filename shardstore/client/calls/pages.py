"""Makes the page of a scan from its columns, whoever read them: a worker, or the client itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shardstore.client.calls.calls import Page, ScanPage
from shardstore.key_range import KeyRange
from shardstore.limits import KEY_BYTES_MAX, KEY_BYTES_MIN
from shardstore.wire.columns import Column, decode


def page_of(
    call: ScanPage, owned: KeyRange, keys: Column, values: Callable[[], Sequence[bytes]], entries: int, resume: bytes
) -> Page:
    """The page of the segment that owns the keys `owned`, so far without what the next page needs.

    `values` is called if values are wanted. Raises InvalidColumn.
    """
    rest = rest_of_scan(call, owned, resume)
    if not entries:
        return Page([], [], rest, bool(resume))
    with_values = [] if call.keys_only else values()
    return Page(decode(*keys, entries, KEY_BYTES_MIN, KEY_BYTES_MAX), with_values, rest, bool(resume))


def rest_of_scan(call: ScanPage, owned: KeyRange, resume: bytes) -> tuple[bytes, bytes] | None:
    """What is left of a scan after a page of the segment that owns the keys `owned`; None if nothing is left."""
    if call.reverse:
        end = resume or owned.start
        return (call.start, end) if end > call.start else None
    start = resume or owned.end
    return (start, call.end) if start and (not call.end or start < call.end) else None
