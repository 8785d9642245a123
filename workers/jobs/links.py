"""Second names for the files of tables, so that another segment, or a virtual part, can use them."""

from __future__ import annotations

from collections.abc import Generator

from shardstore.errors import Corruption, NotWritable, StorageFailure
from shardstore.limits import MIB
from shardstore.seams.filesystem import Filesystem

COPY_BYTES = 4 * MIB


def link_or_copy(filesystem: Filesystem, source: str, target: str) -> Generator[None, None, None]:
    """Give the file a second name, or make a durable copy if linking is refused."""
    try:
        filesystem.link(source, target)
    except FileNotFoundError:
        raise Corruption(source, 0, "the manifest names this table, but there is no such file") from None
    except NotWritable:
        raise
    except StorageFailure:
        yield from _copy(filesystem, source, target)


def _copy(filesystem: Filesystem, source: str, target: str) -> Generator[None, None, None]:
    content = filesystem.map(source)
    file = filesystem.create(target)
    try:
        for offset in range(0, len(content), COPY_BYTES):
            file.append([content[offset : offset + COPY_BYTES]])
            yield
        file.sync()
    finally:
        file.close()
