"""Findings as text in aligned columns, or as JSON. Bytes become UTF-8 with \\xNN for the rest, or hex digits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from shardstore.workers.inspection.findings import Findings

_INDENT = "  "


def as_json(findings: Findings, in_hex: bool) -> str:
    """One JSON object: kind, facts and damage."""
    damage = [{"file": each.file, "offset": each.offset, "what": each.what} for each in findings.damage]
    return json.dumps({"kind": findings.kind, **plain(findings.facts, in_hex), "damage": damage})


def as_lines(findings: Findings, in_hex: bool) -> Iterator[str]:
    """The findings as lines of text."""
    yield f"kind  {findings.kind}"
    yield from _lines(plain(findings.facts, in_hex), "")
    for damage in findings.damage:
        yield f"DAMAGE  {damage}"


def plain(value: Any, in_hex: bool) -> Any:
    """The value with text in place of bytes, also in names."""
    if isinstance(value, dict):
        return {
            name if isinstance(name, str) else str(plain(name, in_hex)): plain(item, in_hex)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [plain(item, in_hex) for item in value]
    if isinstance(value, bytes):
        return value.hex() if in_hex else value.decode("utf-8", "backslashreplace")
    return value


def _lines(facts: dict[str, Any], indent: str) -> Iterator[str]:
    shown = {_cell(name): value for name, value in facts.items()}
    width = max((len(name) for name, value in shown.items() if not _is_nested(value)), default=0)
    for name, value in shown.items():
        if not _is_nested(value):
            yield f"{indent}{name:<{width}}  {_cell(value)}"
            continue
        yield f"{indent}{name}"
        if isinstance(value, dict):
            yield from _lines(value, indent + _INDENT)
        elif all(isinstance(item, dict) for item in value):
            yield from _rows(value, indent + _INDENT)
        else:
            yield from (f"{indent}{_INDENT}{_cell(item)}" for item in value)


def _rows(rows: Sequence[dict[str, Any]], indent: str) -> Iterator[str]:
    """A table: a line with the names of all maps, then a line for each map. Numbers are aligned to the right."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [list(map(_cell, names)), *([_cell(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [all(isinstance(row.get(name, 0), int) for row in rows) for name in names]
    for line in cells:
        aligned = [
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(line, widths, numeric, strict=True)
        ]
        yield f"{indent}{'  '.join(aligned).rstrip()}"


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if text.isprintable() else json.dumps(text)
