"""Fixtures: a filesystem that can be made to fail."""

from __future__ import annotations

import pytest

from tests.unit.faulty_filesystem import FaultyFilesystem


@pytest.fixture
def filesystem() -> FaultyFilesystem:
    return FaultyFilesystem()
