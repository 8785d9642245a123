"""The result of an examination as text, or as plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shardstore.doctor.diagnosis import Diagnosis
from shardstore.doctor.findings import Finding


def as_plain(diagnosis: Diagnosis) -> dict[str, Any]:
    """The result as plain values."""
    return {
        "healthy": not diagnosis.serious,
        "files": diagnosis.files,
        "bytes": diagnosis.bytes,
        "findings": list(map(_plain, diagnosis.serious)),
        "harmless": list(map(_plain, diagnosis.harmless)),
    }


def report_lines(diagnosis: Diagnosis) -> Iterator[str]:
    """The result as text."""
    for finding in diagnosis.serious:
        yield f"{finding.kind.upper()}  {_where(finding)}: {finding.what}"
        yield f"    means  {finding.meaning}"
        yield f"    to do  {finding.advice}"
    for finding in diagnosis.harmless:
        yield f"harmless  {_where(finding)}: {finding.what}"
    yield _summary(diagnosis)


def counted(number: int, what: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _summary(diagnosis: Diagnosis) -> str:
    read = f"{diagnosis.files:,} tables and logs, {diagnosis.bytes:,} bytes"
    found = counted(len(diagnosis.serious), "finding") if diagnosis.serious else "healthy"
    harmless = f"; {counted(len(diagnosis.harmless), 'harmless leftover')}" if diagnosis.harmless else ""
    return f"{found}: {read}{harmless}"


def _where(finding: Finding) -> str:
    return f"{finding.file} at byte {finding.offset}" if finding.offset else finding.file


def _plain(finding: Finding) -> dict[str, Any]:
    return {**finding._asdict(), "kind": finding.kind.value, "meaning": finding.meaning, "advice": finding.advice}
