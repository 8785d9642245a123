"""Fixtures: pages of two entries."""

from __future__ import annotations

import pytest

from shardstore.tables import scan_page


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_page, "SCAN_PAGE_ENTRIES", 2)
