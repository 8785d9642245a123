"""JSON Lines: a JSON object on each line. Blank lines are skipped."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from typing import Any, BinaryIO

from datasets.records import BadRecord, NoRecord, Place, Record, Records, checked, encoded, lines_of, without_line_end
from shardstore.limits import VALUE_BYTES_MAX


def read_json_lines(file: BinaryIO, start: Place, *, key: str, prefix: str = "") -> Records:
    """The records of a file. Values are the lines without their ends; `key` is the path to a field, like `user.id`."""
    path = key.split(".")
    before = encoded(prefix)
    for end, line in lines_of(file, start):
        content = without_line_end(line)
        if end.line == 1:
            content = content.removeprefix(BOM_UTF8)
        if content.strip():
            yield _record(end, content, path, before)


def _record(end: Place, content: bytes, path: list[str], before: bytes) -> Record | BadRecord:
    try:
        # A line that is too long to be stored is not parsed.
        key = _key(_parsed(content), path) if len(content) <= VALUE_BYTES_MAX else b"unknown"
    except NoRecord as why:
        return BadRecord(end.line, end, str(why))
    return checked(end.line, end, before + key, content)


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise NoRecord(f"not UTF-8: {error.reason} at byte {error.start + 1} of the line") from None
    except json.JSONDecodeError as error:
        raise NoRecord(f"broken JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # numbers with thousands of digits, thousands of nested brackets
        raise NoRecord(f"JSON that Python cannot read: {error}") from None


def _key(found: Any, path: list[str]) -> bytes:
    """The text or integer at the path, as bytes."""
    name = ".".join(path)
    for step in path:
        if not isinstance(found, dict) or step not in found:
            raise NoRecord(f"there is no field {name}")
        found = found[step]
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise NoRecord(f"the field {name} is neither text nor an integer")
    if found == "":
        raise NoRecord(f"the field {name} is empty")
    try:
        return str(found).encode("utf-8")
    except UnicodeEncodeError:
        raise NoRecord(f"the field {name} contains half of a surrogate pair") from None
