"""The results of writes, which are kept for the replies to retries."""

from __future__ import annotations

from typing import TypeAlias

from shardstore.outcome import Ending

WriteResult: TypeAlias = bytes | None
"""None: the write was applied. Bytes: the counter's value after an INCREMENT, or FAILED, or BARRED."""
FAILED = b""
"""A condition did not hold. No counter has this value."""
BARRED = b"-"
"""A client was told that the write was not applied, so it never may be. No counter has this value."""


def ending_of(result: WriteResult) -> Ending:
    """Whether a request with this result was applied."""
    return Ending.NOT_APPLIED if result in (FAILED, BARRED) else Ending.APPLIED
