"""The bytes counted for an entry in memory are those by which the process grows, and not much more."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("key_bytes", "value_bytes", "entries", "least"),
    [
        (16, 100, 200_000, 0.85),
        (32, 1_000, 40_000, 0.9),
        (16, 16, 350_000, 0.85),
        (16, 64, 175_000, 0.85),
        (36, 36, 200_000, 0.8),
        (32, 24, 175_000, 0.85),
        (38, 16, 200_000, 0.85),
        (8, 8, 300_000, 0.6),
        (8, 0, 300_000, 0.4),
        (64, 20_000, 2_000, 0.9),
    ],
)
def test_memory_is_counted_from_above(key_bytes: int, value_bytes: int, entries: int, least: float) -> None:
    arguments = [str(key_bytes), str(value_bytes), str(entries)]
    measured = subprocess.run(
        [sys.executable, "-m", "tests.measuring.layer_memory", *arguments], check=True, capture_output=True, text=True
    )
    grown, counted = map(int, measured.stdout.split())
    assert least * counted <= grown <= 1.03 * counted
