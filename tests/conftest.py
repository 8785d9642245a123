"""Settings for all tests."""

from __future__ import annotations

import gc
from itertools import chain

import pytest
from hypothesis import settings

from shardstore.client import driver

settings.register_profile("shardstore", deadline=None)  # times depend on the other load of the machine
settings.load_profile("shardstore")
IS_COMPILED = not str(driver.__file__).endswith(".py")


def pytest_report_header() -> str:
    """Say which form is tested."""
    return f"the hot modules are {'compiled' if IS_COMPILED else 'interpreted'}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what cannot be done with compiled classes."""
    if IS_COMPILED and item.get_closest_marker("interpreted"):
        pytest.skip("only for interpreted modules")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The slow tests come first, the same number of them in each process. Each begins with a block of the list."""
    blocks = getattr(config, "workerinput", {"workercount": 1})["workercount"]
    slow = [item for item in items if item.get_closest_marker("slow")]
    fast = [item for item in items if not item.get_closest_marker("slow")]
    bounds = [len(fast) * at // blocks for at in range(blocks + 1)]
    items[:] = chain.from_iterable(slow[at::blocks] + fast[bounds[at] : bounds[at + 1]] for at in range(blocks))


def pytest_collection_finish() -> None:
    """Keep modules and tests out of garbage collections, since they stay until the end."""
    gc.collect()
    gc.freeze()
