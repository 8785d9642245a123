"""A client that retries failed calls. All its calls are idempotent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from shardstore import Busy, Client, OutcomeUnknown, Unavailable

REPEATS_MAX = 5
"""Maximum number of retries of one call; each attempt has the whole timeout."""
PAUSE_SECONDS = 0.5
PAUSE_SECONDS_MAX = 5.0

_Answer = TypeVar("_Answer")


class PatientClient:
    """Retries calls, counts the retries in `repeats`, and passes the reasons to `say`."""

    def __init__(
        self,
        db: Client,
        timeout: float | None,
        say: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._db = db
        self._timeout = timeout
        self._say = say
        self._sleep = sleep
        self.repeats = 0

    def write(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        """Set the keys, in this order."""
        self._until_done(lambda: self._db.put_many(pairs, timeout=self._timeout))

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Get the values of the keys."""
        return self._until_done(lambda: self._db.get_many(keys, timeout=self._timeout))

    def remove(self, keys: Iterable[bytes]) -> None:
        """Delete the keys."""
        keys = list(keys)
        self._until_done(lambda: self._db.delete_many(keys, timeout=self._timeout))

    def _until_done(self, call: Callable[[], _Answer]) -> _Answer:
        for left in reversed(range(REPEATS_MAX + 1)):
            try:
                return call()
            except (Busy, Unavailable, OutcomeUnknown) as error:
                if not left:
                    raise
                self._say(f"retrying, at most {left} more times: {error}")
                self.repeats += 1
                self._sleep(_pause_seconds(error))
        raise AssertionError("the last attempt returns or raises")


def _pause_seconds(error: Exception) -> float:
    """The pause that the cluster asks for, within bounds."""
    asked = error.retry_after if isinstance(error, Busy) else 0.0
    return min(max(asked, PAUSE_SECONDS), PAUSE_SECONDS_MAX)
