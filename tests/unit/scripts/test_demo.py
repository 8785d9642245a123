"""The demonstration: what it writes, and that it finds a difference."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[3] / "scripts"))
import demo

FILES = [
    demo.SourceFile(b"a.py", b"one\ntwo\r\nthree"),
    demo.SourceFile(b"a.pyx", b"\n\n"),
    demo.SourceFile(b"empty.py", b""),
]


class Table:
    """A client that scans a dict."""

    def __init__(self) -> None:
        self.content = dict(record for file in FILES for record in file.records())

    def scan(self, prefix: bytes, timeout: float) -> Iterator[tuple[bytes, bytes]]:
        return (pair for pair in sorted(self.content.items()) if pair[0].startswith(prefix))


def different(table: Table) -> list[bytes]:
    with demo._progress(Console()) as progress:
        return [file.name for file in demo._compare(table, FILES, 5, progress)]


def test_records_are_lines_under_padded_numbers() -> None:
    assert list(FILES[0].records()) == [
        (b"a.py:00000001", b"one\n"),
        (b"a.py:00000002", b"two\r\n"),
        (b"a.py:00000003", b"three"),
    ]


def test_equal_content_is_no_difference() -> None:
    assert different(Table()) == []


@pytest.mark.parametrize(
    ("key", "value"), [(b"a.py:00000002", b"twO\r\n"), (b"a.py:00000004", b"more"), (b"a.py:00000003", None)]
)
def test_a_changed_added_or_lost_line_is_a_difference(key: bytes, value: bytes | None) -> None:
    table = Table()
    table.content[key] = value or b""
    if value is None:
        del table.content[key]
    assert different(table) == [b"a.py"]


def test_the_standard_library_is_there() -> None:
    names = {file.name for file in demo.source_files()}
    assert {b"os.py", b"asyncio/__init__.py"} <= names
    assert not any(b"site-packages" in name for name in names)
