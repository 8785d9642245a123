"""Fixtures: a worker without a process, for jobs."""

from __future__ import annotations

import pytest

from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.job_driver import JobDriver


@pytest.fixture
def worker() -> JobDriver:
    return JobDriver(FaultyFilesystem())
