"""Options for table files. They may change between two starts of a store, since each file describes itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shardstore.errors import InvalidRequest
from shardstore.limits import KIB, MIB

HELP = "help"
"""The key of the help text in the metadata of a field."""


class Compression(StrEnum):
    """The compression of the blocks of table files, where it makes them smaller."""

    NONE = "none"
    LZ4 = "lz4"
    ZSTD = "zstd"


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """How table files are written and merged. The options apply to files written from now on.

    Attributes:
        compression: Compression of the blocks of table files, where it makes them smaller.
        block_bytes: Size at which a block of a table file ends, before compression; 1 KiB to 1 MiB.
        bloom_bits_per_key: Bits of the Bloom filters for each key, 0 to 64; 0 switches them off.
        part_min_bytes: Minimum size of a table of a main, if there are enough entries.
        part_max_bytes: Maximum size of a table of a main. Sizes are drawn at random between the two.
        main_max_bytes: Size from which a main becomes a bottom main, which is seldom rewritten.

    Raises:
        InvalidRequest: A value is not allowed, or the sizes do not ascend.
    """

    compression: Compression = field(
        default=Compression.NONE, metadata={HELP: "Compression of the blocks of table files."}
    )
    block_bytes: int = field(default=64 * KIB, metadata={HELP: "Size of a block of a table file, before compression."})
    bloom_bits_per_key: float = field(
        default=10.5, metadata={HELP: "Bits of the Bloom filters for each key; 0 switches them off."}
    )
    part_min_bytes: int = field(default=16 * MIB, metadata={HELP: "Minimum size of parts written by compactions."})
    part_max_bytes: int = field(default=48 * MIB, metadata={HELP: "Maximum size of parts; sizes are drawn at random."})
    main_max_bytes: int = field(default=256 * MIB, metadata={HELP: "A larger main becomes a bottom main."})

    def __post_init__(self) -> None:
        if not isinstance(self.compression, str) or self.compression not in set(Compression):
            raise InvalidRequest(f"compression is one of {', '.join(Compression)}, not {self.compression!r:.60}")
        for name in ("block_bytes", "part_min_bytes", "part_max_bytes", "main_max_bytes"):
            if type(getattr(self, name)) is not int:
                raise InvalidRequest(f"{name} is a number of bytes, not {getattr(self, name)!r:.60}")
        object.__setattr__(self, "compression", Compression(self.compression))  # it may be a plain str
        if not KIB <= self.block_bytes <= MIB:
            raise InvalidRequest(f"block_bytes is {KIB} to {MIB}, not {self.block_bytes}")
        if type(self.bloom_bits_per_key) not in (int, float) or not 0 <= self.bloom_bits_per_key <= 64:
            raise InvalidRequest(f"bloom_bits_per_key is 0 to 64, not {self.bloom_bits_per_key!r:.60}")
        if not self.block_bytes <= self.part_min_bytes <= self.part_max_bytes <= self.main_max_bytes:
            raise InvalidRequest(
                "sizes ascend: block_bytes, part_min_bytes, part_max_bytes, main_max_bytes; these are "
                f"{self.block_bytes}, {self.part_min_bytes}, {self.part_max_bytes}, {self.main_max_bytes}"
            )

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> SegmentOptions:
        """Inverse of dataclasses.asdict. Raises InvalidRequest."""
        try:
            return cls(**{**values, "compression": Compression(values["compression"])})
        except (TypeError, ValueError, KeyError) as error:
            raise InvalidRequest(f"no SegmentOptions: {error}") from None


DEFAULTS = SegmentOptions()
