"""The pages name what is there: every module in them exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent.parent
ROOTS = [PROJECT, *(PROJECT / package for package in ("shardstore", "router", "workers", "workers/wal"))]
MODULE = re.compile(r"[a-z_]+(?:/[a-z_]+)*\.py\b")


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md", "BENCHMARKS.md"])
def test_every_module_a_page_names_exists(page: str) -> None:
    named = sorted(set(MODULE.findall((PROJECT / page).read_text())))
    assert named, "the page names no module at all"
    missing = [name for name in named if not any((root / name).is_file() for root in ROOTS)]
    assert not missing
