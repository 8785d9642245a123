"""The unit tests lie as the product does."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parent.parent
PRODUCT = (PROJECT / "shardstore", PROJECT)
"""Below the second lie the scripts."""
UNIT = PROJECT / "tests" / "unit"


def test_every_folder_of_the_unit_tests_is_one_of_the_product() -> None:
    folders = [path.parent.relative_to(UNIT) for path in UNIT.rglob("__init__.py")]
    assert Path("router/policies") in folders
    assert [folder for folder in folders if not any((root / folder).is_dir() for root in PRODUCT)] == []
