"""Public errors keep what they say through a process pool."""

from __future__ import annotations

import copy
import pickle

import pytest

from shardstore.errors import Busy, Corruption, ShardstoreError, Unavailable

BUSY = "range bytes: 1,200 of 1,000 used; nothing was applied, retry after 50 ms"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Busy("range bytes", 1_200, 1_000, 50_000_000), BUSY),
        (Corruption("segments/1/table", 7, "checksum"), "segments/1/table at byte 7: checksum"),
        (Unavailable("worker 0 is down"), "worker 0 is down"),
    ],
)
def test_errors_can_be_pickled_and_copied(error: ShardstoreError, text: str) -> None:
    for twin in (error, pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == text
        assert vars(twin) == vars(error)
