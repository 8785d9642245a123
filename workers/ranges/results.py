"""The results of writes, which are kept for the replies to retries."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from shardstore.outcome import Ending


class Taken(NamedTuple):
    """The entry that a TAKE has removed."""

    key: bytes
    value: bytes


WriteResult: TypeAlias = bytes | Taken | None
"""None: the write was applied. Bytes: the counter's value after an INCREMENT, or FAILED, or BARRED."""
FAILED = b""
"""A condition did not hold, or there was nothing to take. No counter has this value."""
BARRED = b"-"
"""A client was told that the write was not applied, so it never may be. No counter has this value."""


def ending_of(result: WriteResult) -> Ending:
    """Whether a request with this result was applied."""
    return Ending.NOT_APPLIED if result in (FAILED, BARRED) else Ending.APPLIED
