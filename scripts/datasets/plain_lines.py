"""Lines of any bytes: stored under their number, or as keys."""

from __future__ import annotations

from typing import BinaryIO

from datasets.records import Place, Records, checked, encoded, lines_of, without_line_end

NUMBER_DIGITS = 12


def read_lines(file: BinaryIO, start: Place, *, prefix: str = "", key_is_line: bool = False) -> Records:
    """The records of a file: lines without their ends under their padded numbers, or as keys with empty values."""
    before = encoded(prefix)
    for end, line in lines_of(file, start):
        content = without_line_end(line)
        if key_is_line:
            yield checked(end.line, end, before + content if content else b"", b"")
        else:
            yield checked(end.line, end, before + b"%0*d" % (NUMBER_DIGITS, end.line), content)
