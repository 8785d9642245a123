"""Settings of all tests."""

from __future__ import annotations

import gc

from hypothesis import settings

settings.register_profile("shardstore", deadline=None)  # how long an example takes depends on what else runs here
settings.load_profile("shardstore")


def pytest_collection_finish() -> None:
    """Modules and tests stay: spare the garbage collector the look at them, again and again."""
    gc.collect()
    gc.freeze()
