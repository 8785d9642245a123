"""Versions of formats: which are read, and what is said of others."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from shardstore.errors import Corruption
from shardstore.files import formats
from shardstore.files.formats import RELEASE, Format

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden"
ALL = {each.kind: each for each in vars(formats).values() if isinstance(each, Format)}
FILES = {
    "table file": "table-odd",
    "manifest": "manifest",
    "log file": "wal",
    "log document": "log-document",
    "route map": "routes",
    "store": "store",
}
"""The beginnings of the names of golden files, by kind."""
FORMAT = Format("test", b"", version=7, oldest=6)


@pytest.mark.parametrize("kind", FILES)
def test_each_version_that_is_read_has_a_golden_file(kind: str) -> None:
    file_format = ALL[kind]
    assert 1 <= file_format.oldest <= file_format.version
    for version in range(file_format.oldest, file_format.version + 1):
        content = (GOLDEN / f"{FILES[kind]}-v{version}.bin").read_bytes()
        assert content.startswith(file_format.magic)
        assert content[formats.VERSION_AT] == version


def test_every_format_of_files_is_looked_at() -> None:
    assert {kind for kind, each in ALL.items() if each.magic} == set(FILES)


@pytest.mark.fault("L16")
@pytest.mark.parametrize("version", [6, 7])
def test_the_newest_version_and_the_one_before_are_read(version: int) -> None:
    FORMAT.check("FILE", version)


@pytest.mark.parametrize(("version", "needed"), [(8, f"a release after {RELEASE}"), (5, "the release that wrote it")])
def test_for_other_versions_the_release_that_is_needed_is_named(version: int, needed: str) -> None:
    with pytest.raises(Corruption, match=f"FILE at byte 8: format version {version}, .* reads 6 to 7: .*{needed}"):
        FORMAT.check("FILE", version)


def test_the_release_is_that_of_the_project() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == RELEASE
