"""The result of an examination."""

from __future__ import annotations

from dataclasses import dataclass, field

from shardstore.doctor.findings import Finding, Kind


@dataclass(slots=True)
class Diagnosis:
    """What an examination has found, and how much it has read."""

    findings: list[Finding] = field(default_factory=list)
    files: int = 0
    bytes: int = 0

    @property
    def serious(self) -> list[Finding]:
        """The findings that no healthy store has."""
        return [each for each in self.findings if not each.is_harmless]

    @property
    def harmless(self) -> list[Finding]:
        """The findings that a healthy store may have."""
        return [each for each in self.findings if each.is_harmless]

    def sort(self) -> None:
        """Put the findings in the order of their kinds and files."""
        order = list(Kind)
        self.findings.sort(key=lambda each: (order.index(each.kind), each.file, each.offset, each.what))
