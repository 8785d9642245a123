"""Settings for all tests."""

from __future__ import annotations

import gc

from hypothesis import settings

settings.register_profile("shardstore", deadline=None)  # times depend on the other load of the machine
settings.load_profile("shardstore")


def pytest_collection_finish() -> None:
    """Keep modules and tests out of garbage collections, since they stay until the end."""
    gc.collect()
    gc.freeze()
