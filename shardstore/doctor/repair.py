"""Repairs what can be repaired without loss: it moves the files aside that no range needs, and changes no other.

They go to lost+found/<number of the repair>/, under their former paths. MOVED.json there says from where, and why; it
is durable before the first file moves. Nothing is deleted, so a repair can be taken back by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import count

from shardstore.doctor.findings import MOVABLE, Finding
from shardstore.files import file_names
from shardstore.files.documents import publish
from shardstore.seams.filesystem import Filesystem


def movable(findings: Iterable[Finding]) -> list[Finding]:
    """The findings whose files a repair moves aside, each file once."""
    return list({each.file: each for each in findings if each.kind in MOVABLE}.values())


def move_aside(filesystem: Filesystem, moved: Sequence[Finding]) -> str:
    """Move these files or directories aside. Returns the directory in which they are now. Raises StorageFailure."""
    number = next(number for number in count(1) if not filesystem.exists(file_names.lost_directory(number)))
    directory = file_names.lost_directory(number)
    filesystem.make_directory(directory)
    listed = [{"from": each.file, "to": f"{directory}/{each.file}", "what": each.what} for each in moved]
    publish(filesystem, file_names.moved_list(number), json.dumps({"moved": listed}, indent=2).encode() + b"\n")
    for each in listed:
        source, target = each["from"], each["to"]
        filesystem.make_directory(_parent(target))
        filesystem.rename(source, target)
        filesystem.sync_directory(_parent(target))
        filesystem.sync_directory(_parent(source))
    return directory


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
