"""Fixtures: a serving worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.worker_driver import WorkerDriver


@pytest.fixture
def worker(tmp_path: Path) -> WorkerDriver:
    return WorkerDriver(tmp_path).serve()
