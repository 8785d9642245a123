"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("shardstore", deadline=None)  # how long an example takes depends on what else runs here
settings.load_profile("shardstore")
