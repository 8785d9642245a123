"""The documentation names modules that exist, has short lines, and explains the words of the project."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
DOCS = sorted((PROJECT / "docs").rglob("*.md"))
ROOTS = [PROJECT, *(PROJECT / package for package in ("shardstore", "router", "workers", "workers/wal"))]
PAGES = [
    "README.md",
    "ARCHITECTURE.md",
    "BENCHMARKS.md",
    "CHANGELOG.md",
    "SECURITY.md",
    *(str(page.relative_to(PROJECT)) for page in DOCS),
]
WORDS = (
    *("adopt", "announcement", "asker", "balancer", "barrier", "bounce", "carried", "chapter", "checkpoint"),
    *("chunk", "cursor", "cut", "due", "edge", "ending", "former owner", "frozen", "heir", "held"),
    *("idle timeout", "inheritance", "isolation", "lease", "materialise", "orphan", "piece", "pin", "rest"),
    *("set aside", "settled", "share", "sign of life", "span", "steady", "stretch", "trusted"),
    *("turn", "unsplittable", "verdict"),
)
"""Words of this project, or with a meaning of its own here, that the glossary explains."""
MODULE = re.compile(r"[a-z_]+(?:/[a-z_]+)*\.py\b")


@pytest.mark.parametrize("page", PAGES)
def test_every_module_a_page_names_exists(page: str) -> None:
    named = sorted(set(MODULE.findall((PROJECT / page).read_text())))
    missing = [name for name in named if not any((root / name).is_file() for root in ROOTS)]
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_every_link_within_the_project_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)[^)]*\)", (PROJECT / page).read_text())
    assert [link for link in links if not ((PROJECT / page).parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_short(page: str) -> None:
    """The lines of the pages have at most this length, except tables and printed output in BENCHMARKS.md."""
    lines = (PROJECT / page).read_text().splitlines()
    is_free = [page == "BENCHMARKS.md" and (line.startswith("|") or "    " in line) for line in lines]
    assert [number for number, line in enumerate(lines, 1) if len(line) > 100 and not is_free[number - 1]] == []


def test_the_glossary_explains_each_word_once() -> None:
    entries = re.findall(r"^\* (.+?)(?:\(|:)", (PROJECT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    explained = [word for entry in entries for word in re.findall(r"\*\*(.+?)\*\*", entry)]
    assert sorted(set(WORDS) - set(explained)) == []
    assert sorted(word for word in set(explained) if explained.count(word) > 1) == []
