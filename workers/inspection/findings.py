"""The result of an inspection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shardstore.errors import Corruption


@dataclass(slots=True)
class Findings:
    """`facts`: plain values by name, and lists of maps of such values. `damage`: what is wrong, and where."""

    kind: str
    facts: dict[str, Any] = field(default_factory=dict)
    damage: list[Corruption] = field(default_factory=list)
