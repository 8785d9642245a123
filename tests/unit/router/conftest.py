"""Fixtures: a router with new files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shardstore.system.posix_filesystem import PosixFilesystem
from tests.unit.router.router_driver import RouterDriver


@pytest.fixture
def filesystem(tmp_path: Path) -> Iterator[PosixFilesystem]:
    filesystem = PosixFilesystem(str(tmp_path))
    yield filesystem
    filesystem.close()


@pytest.fixture
def router(filesystem: PosixFilesystem) -> RouterDriver:
    return RouterDriver(filesystem)
