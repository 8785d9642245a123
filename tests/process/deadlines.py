"""Waits for conditions with a time limit."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(true: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Check the condition again and again; fails the test if it does not become true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)
