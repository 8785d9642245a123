"""When ranges are split, merged and moved without being asked. May differ between two starts of a store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shardstore.errors import InvalidRequest
from shardstore.limits import GIB, KIB, MILLISECOND_NS
from shardstore.segment_options import HELP

CHANGES_MAX = 64
COOLDOWN_MS_MAX = 86_400_000


@dataclass(frozen=True, slots=True)
class TopologyOptions:
    """Settings of the policies of router/policies/. Raises InvalidRequest for values that make no sense."""

    auto_topology: bool = field(
        default=True, metadata={HELP: "Split, merge and move ranges by their size and load, without being asked."}
    )
    split_bytes: int = field(
        default=GIB, metadata={HELP: "A range that holds more is split; in a small store already one that holds less."}
    )
    split_operations: int = field(
        default=1_000, metadata={HELP: "A range is split for its load from so many keys a second."}
    )
    changes_max: int = field(default=2, metadata={HELP: "Splits, merges and moves that are under way at a time."})
    cooldown_ms: int = field(
        default=60_000,
        metadata={
            HELP: "How long a range that was changed is left alone; for its bytes a small one is changed sooner."
        },
    )

    def __post_init__(self) -> None:
        if type(self.auto_topology) is not bool:
            raise InvalidRequest(f"auto_topology is True or False, not {self.auto_topology!r}")
        for name, least, most in (
            ("split_bytes", KIB, 2**60),
            ("split_operations", 1, 2**60),
            ("changes_max", 1, CHANGES_MAX),
            ("cooldown_ms", 0, COOLDOWN_MS_MAX),
        ):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise InvalidRequest(f"{name} is {least} to {most}, not {value!r}")

    @property
    def cooldown_ns(self) -> int:
        """The cooldown in the unit of clocks."""
        return self.cooldown_ms * MILLISECOND_NS

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> TopologyOptions:
        """Inverse of dataclasses.asdict. Raises InvalidRequest."""
        try:
            return cls(**values)
        except TypeError as error:
            raise InvalidRequest(f"no TopologyOptions: {error}") from None


TOPOLOGY_DEFAULTS = TopologyOptions()
