"""A mapped table file. Its identity is checked when it is opened, a section whenever it is read."""

from __future__ import annotations

import numpy as np

from shardstore.checksum import checksum
from shardstore.errors import Corruption
from shardstore.seams.filesystem import Filesystem
from shardstore.segment_options import Compression
from shardstore.tables.block_index import BlockIndex, record_offset
from shardstore.tables.bloom import Mask
from shardstore.tables.table_format import (
    FOOTER_BYTES,
    HEADER_BYTES,
    Identity,
    Properties,
    Section,
    TableRecord,
    check_header,
    decode_footer,
    seed_at,
)
from shardstore.wire import messages
from shardstore.wire.wire_format import MalformedMessage


class TableFile:
    """A mapped table file. It stays readable after it is deleted. Raises Corruption if it is not the recorded file.

    `may_expire`: whether some of its values may expire. `verified`: for each block, whether its checksum was found
    right here; none before the index was read.
    """

    def __init__(self, filesystem: Filesystem, identity: Identity, record: TableRecord) -> None:
        try:
            self.data = filesystem.map(identity.path)
        except FileNotFoundError:
            raise Corruption(identity.path, 0, "the manifest names this table, but there is no such file") from None
        if len(self.data) != record.file_bytes or record.file_bytes < HEADER_BYTES + FOOTER_BYTES:
            raise Corruption(identity.path, len(self.data), f"ends here; the manifest says at {record.file_bytes}")
        self.path = identity.path
        self.seed = check_header(self.data, identity)
        self.may_expire = record.expiring > 0
        self.sections = decode_footer(self.data, identity, self.seed, record.checksum)
        self.properties = self._read_properties()
        self.verified: Mask = np.zeros(0, dtype=np.bool_)

    def section(self, section: Section, what: str) -> memoryview:
        """Return the bytes of a section; errors call it `what`. Raises Corruption."""
        data = self.data[section.offset : section.offset + section.length]
        if checksum(data, seed_at(self.seed, section.offset)) != section.checksum:
            raise Corruption(self.path, section.offset, f"checksum of the {what} does not match")
        return data

    def block_index(self) -> BlockIndex:
        """Return the block index. Raises Corruption."""
        section, properties = self.sections.block_index, self.properties
        index = BlockIndex(self.section(section, "block index"))
        longest = properties.key_bytes_max - (properties.key_stride > 0)  # keys of one length differ
        possible = np.minimum(index.values_at, longest)
        if len(wrong := np.flatnonzero(index.prefix_bytes > possible)):
            block = int(wrong[0])
            what = f"a prefix of {index.prefix_bytes[block]} bytes in block {block}; {possible[block]} are possible"
            raise Corruption(self.path, section.offset + record_offset(block), what)
        if len(self.verified) != len(index):
            self.verified = np.zeros(len(index), dtype=np.bool_)
        return index

    def _read_properties(self) -> Properties:
        section = self.sections.properties
        try:
            properties = messages.decode(Properties, self.section(section, "properties"))
        except MalformedMessage as error:
            raise Corruption(self.path, section.offset, str(error)) from None
        if properties.compression not in set(Compression):
            raise Corruption(self.path, section.offset, f"compressed with {properties.compression!r}, which is unknown")
        return properties
