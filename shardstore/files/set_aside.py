"""Sets the directory of a segment aside that an operator gave up. No process has the segment open.

Nothing removes it: what can be read of it may be wanted. The doctor names it, and can move it to lost+found.
"""

from __future__ import annotations

from itertools import count

from shardstore.files.file_names import SEGMENTS, segment_aside, segment_directory
from shardstore.seams.filesystem import Filesystem


def set_aside(filesystem: Filesystem, segment: int) -> None:
    """Give the directory of a segment a name under which it is none, durably. Does nothing if there is none.

    Raises StorageFailure.
    """
    if filesystem.exists(segment_directory(segment)):
        names = (segment_aside(segment, copy) for copy in count(1))
        filesystem.rename(segment_directory(segment), next(name for name in names if not filesystem.exists(name)))
    filesystem.sync_directory(SEGMENTS)
