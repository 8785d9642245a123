"""Fixtures: pages of two entries."""

from __future__ import annotations

import pytest

from shardstore.workers.serving import requests


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "SCAN_PAGE_ENTRIES", 2)
