"""Options for automatic splits, merges and moves of ranges. They may change between two starts of a store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shardstore.errors import InvalidRequest
from shardstore.limits import GIB, KIB, SECOND_NS
from shardstore.segment_options import HELP

CHANGES_MAX = 64
COOLDOWN_SECONDS_MAX = 86_400


@dataclass(frozen=True, slots=True)
class TopologyOptions:
    """When the store splits, merges and moves ranges by itself.

    Attributes:
        auto_topology: Whether the store changes ranges by itself at all.
        split_bytes: A range with more bytes is split, 1 KiB or more. In a small store the limit is lower.
        split_operations: Keys read or written per second from which a range may be split for its load.
        changes_max: Maximum number of splits, merges and moves under way at a time, 1 to 64.
        cooldown: Seconds for which a changed range is left alone, 0 to 86,400. A small range that grows is split
            sooner.

    Raises:
        InvalidRequest: A value is not allowed.
    """

    auto_topology: bool = field(
        default=True, metadata={HELP: "Split, merge and move ranges automatically, by their size and load."}
    )
    split_bytes: int = field(
        default=GIB, metadata={HELP: "A range with more bytes is split; in a small store the limit is lower."}
    )
    split_operations: int = field(
        default=1_000, metadata={HELP: "Keys per second from which a range may be split for its load."}
    )
    changes_max: int = field(
        default=2, metadata={HELP: "Maximum number of splits, merges and moves under way at a time."}
    )
    cooldown: float = field(
        default=60.0,
        metadata={HELP: "Seconds for which a changed range is left alone; a small range that grows is split sooner."},
    )

    def __post_init__(self) -> None:
        if type(self.auto_topology) is not bool:
            raise InvalidRequest(f"auto_topology is True or False, not {self.auto_topology!r}")
        for name, least, most in (
            ("split_bytes", KIB, 2**60),
            ("split_operations", 1, 2**60),
            ("changes_max", 1, CHANGES_MAX),
        ):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise InvalidRequest(f"{name} is {least} to {most}, not {value!r}")
        if type(self.cooldown) not in (int, float) or not 0 <= self.cooldown <= COOLDOWN_SECONDS_MAX:
            raise InvalidRequest(f"cooldown is 0 to {COOLDOWN_SECONDS_MAX} seconds, not {self.cooldown!r:.60}")

    @property
    def cooldown_ns(self) -> int:
        """The cooldown in nanoseconds."""
        return round(self.cooldown * SECOND_NS)

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> TopologyOptions:
        """Inverse of dataclasses.asdict. Raises InvalidRequest."""
        try:
            return cls(**values)
        except TypeError as error:
            raise InvalidRequest(f"no TopologyOptions: {error}") from None


TOPOLOGY_DEFAULTS = TopologyOptions()
