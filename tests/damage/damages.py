"""All kinds of damage to the files of a stopped store, each given as the files after it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tests.damage.history import History
from tests.damage.regions import kind_of, regions_of

SECTOR = 512


class Damage(NamedTuple):
    """One damage. `kind` is its line in the table, `what` distinguishes it from others of the kind.

    `damaged` holds the new content of the damaged files; None means that the file is missing.
    """

    kind: str
    what: str
    damaged: Mapping[str, bytes | None]

    def applied(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """The files after the damage."""
        after = {**files, **self.damaged}
        return {path: content for path, content in after.items() if content is not None}


def damages(history: History, other: History, every_byte: bool, seed: int = 1) -> Iterator[Damage]:
    """All damages to the last files of a history; `other` is the history of another store.

    In each part of each file one byte is changed, or each byte with `every_byte`.
    """
    rng = random.Random(seed)
    for path, content in history.files.items():
        yield from _changed_bytes(path, content, every_byte, rng)
        yield from _lengths(path, content, every_byte)
        yield from _sectors(path, content, every_byte)
        yield Damage(f"{kind_of(path)}: missing", path, {path: None})
    yield from _of_others(history, other)
    yield from _earlier(history)
    yield from _directories(history)


def _changed_bytes(path: str, content: bytes, every_byte: bool, rng: random.Random) -> Iterator[Damage]:
    for region in regions_of(path, content):
        places = range(region.start, region.end) if every_byte else [rng.randrange(region.start, region.end)]
        for at in places:
            flipped = bytes([content[at] ^ 1 << rng.randrange(8)])
            changed = content[:at] + flipped + content[at + 1 :]
            yield Damage(f"{kind_of(path)}: a bit of its {region.what}", f"{path} at {at}", {path: changed})


def _lengths(path: str, content: bytes, every_byte: bool) -> Iterator[Damage]:
    borders = {edge for region in regions_of(path, content) for edge in (region.start, region.end - 1)}
    lengths = range(len(content)) if every_byte else sorted({0, len(content) // 2, len(content) - 1, *borders})
    for length in lengths:
        yield Damage(f"{kind_of(path)}: its end is gone", f"{path} from {length}", {path: content[:length]})
    for more in (b"\0", bytes(4096), content):
        yield Damage(f"{kind_of(path)}: too long", f"{path} by {len(more)}", {path: content + more})


def _sectors(path: str, content: bytes, every_byte: bool) -> Iterator[Damage]:
    starts = range(0, len(content), SECTOR)
    for start in starts if every_byte else (starts[0], starts[-1]):
        length = len(content[start : start + SECTOR])
        zeroed = content[:start] + bytes(length) + content[start + length :]
        yield Damage(f"{kind_of(path)}: a sector of zeros", f"{path} at {start}", {path: zeroed})


def _of_others(history: History, other: History) -> Iterator[Damage]:
    """Files replaced by those of another store, and by other files of the same store."""
    for path, content in history.files.items():
        if path in other.files:
            yield Damage(f"{kind_of(path)}: that of another store", path, {path: other.files[path]})
        for sibling, theirs in history.files.items():
            if sibling != path and kind_of(sibling) == kind_of(path) and theirs != content:
                yield Damage(f"{kind_of(path)}: that of another", f"{path} from {sibling}", {path: theirs})


def _earlier(history: History) -> Iterator[Damage]:
    """Single files and whole directories as they were at an earlier stop, including files removed since."""
    for number, stop in enumerate(history.stops[:-1]):
        for path in stop:
            if stop[path] != history.files.get(path):
                yield Damage(f"{kind_of(path)}: an earlier version", f"{path} of stop {number}", {path: stop[path]})
        for directory in _directories_of(history):
            now = dict.fromkeys(path for path in history.files if path.startswith(directory))
            then = {path: content for path, content in stop.items() if path.startswith(directory)}
            if then and then != {path: history.files[path] for path in now}:
                kind = directory.split("/")[0]
                yield Damage(f"directory in {kind}: as it was", f"{directory} of stop {number}", {**now, **then})


def _directories(history: History) -> Iterator[Damage]:
    for directory in _directories_of(history):
        gone: dict[str, bytes | None] = dict.fromkeys(path for path in history.files if path.startswith(directory))
        yield Damage(f"directory in {directory.split('/')[0]}: missing", directory, gone)
    for kind in sorted(set(map(kind_of, history.files))):
        gone = dict.fromkeys(path for path in history.files if kind_of(path) == kind)
        yield Damage("all files of a kind: missing", kind, gone)


def _directories_of(history: History) -> list[str]:
    """All directories except the root, each with a slash at the end."""
    parts = [path.split("/") for path in history.files]
    return sorted({"/".join(each[:depth]) + "/" for each in parts for depth in range(1, len(each))})
