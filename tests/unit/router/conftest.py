"""Fixtures: a router with new files."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardstore.system.posix_filesystem import PosixFilesystem
from tests.unit.router.router_driver import RouterDriver


@pytest.fixture
def filesystem(tmp_path: Path) -> PosixFilesystem:
    return PosixFilesystem(str(tmp_path))


@pytest.fixture
def router(filesystem: PosixFilesystem) -> RouterDriver:
    return RouterDriver(filesystem)
