"""The storage of one simulated host: what processes see of it, and what a power loss leaves.

Each file has two contents, `cache` (what reads return) and `disk` (what is on stable storage), and the set of 4 KiB
pages in which they may differ. Each directory has the visible names, the stable names, and the ordered list of changes
between them. A kill loses nothing; a power loss changes the visible state to a mix with the stable one:

    mode         changes of names                   dirty pages                            length of a file
    STRICT       all undone                         all dropped                            as last synced
    ORDERED      those before a random moment stay  kept, dropped, or cut at 512 bytes     any between, as data allows
    CHAOS        each stays by chance               kept, dropped, or cut at 512 bytes     any between
    SIZE_FIRST   those before a random moment stay  dropped: zeros where nothing was       as seen
    ALL_KEPT     all stay                           kept                                   as seen

Data that was synced and not written again is never damaged. But if the last name of a file was removed gradually and
comes back because the removal was undone, any part of the end may be missing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeAlias

PAGE = 4096
SECTOR = 512


class PowerLoss(Enum):
    """The mode of a power loss; see the table of the module."""

    STRICT = 1
    ORDERED = 2
    CHAOS = 3
    SIZE_FIRST = 4
    ALL_KEPT = 5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state that a sync begun now will make stable."""

    size: int
    pages: dict[int, bytes]


class Inode:
    """The two contents of one file."""

    def __init__(self) -> None:
        self.cache = bytearray()
        self.disk = bytearray()
        self.dirty: set[int] = set()
        self.locked = False
        self.is_cut = False
        """Whether a name was removed gradually. If it was the last one, little of the content may be left."""

    def append(self, data: bytes) -> None:
        """Append bytes to the cache only."""
        first = len(self.cache) // PAGE
        self.cache += data
        if data:
            self.dirty.update(range(first, _pages(len(self.cache))))

    def truncate(self, length: int) -> None:
        """Truncate the cache; the disk keeps its length until a sync."""
        del self.cache[length:]
        self.dirty = {page for page in self.dirty if page * PAGE < length}

    def snapshot(self) -> Snapshot:
        """Take the state for a sync that begins now."""
        return Snapshot(len(self.cache), {page: self._page(self.cache, page) for page in sorted(self.dirty)})

    def make_stable(self, snapshot: Snapshot) -> None:
        """Finish the sync that began with the snapshot; later writes stay dirty."""
        _resize(self.disk, min(max(snapshot.size, len(self.disk)), len(self.cache)))
        for page, content in snapshot.pages.items():
            self._write(page, content)
            if page in self.dirty and self._page(self.cache, page) == content:
                self.dirty.discard(page)

    def fail_to_sync(self, snapshot: Snapshot, rng: random.Random) -> None:
        """Fail a sync as kernels do: some pages are written, and all count as clean from now on."""
        for page, content in snapshot.pages.items():
            if rng.random() < 0.5 and page * PAGE + len(content) <= len(self.disk):
                self._write(page, content)
            self.dirty.discard(page)

    def drop_cache(self) -> None:
        """Make the next reads of clean pages come from the disk."""
        for page in range(_pages(len(self.cache))):
            if page not in self.dirty:
                window = slice(page * PAGE, min((page + 1) * PAGE, len(self.cache)))
                self.cache[window] = self.disk[window].ljust(window.stop - window.start, b"\0")

    def lose_power(self, mode: PowerLoss, rng: random.Random) -> None:
        """Keep what the mode leaves of the dirty pages and of the length."""
        if mode in (PowerLoss.ORDERED, PowerLoss.CHAOS):
            self._keep_by_chance(mode, rng)
        elif mode is PowerLoss.SIZE_FIRST:
            _resize(self.disk, len(self.cache))
        elif mode is PowerLoss.ALL_KEPT:
            self.make_stable(self.snapshot())
        self.cache = bytearray(self.disk)
        self.dirty.clear()

    def come_back_cut(self, rng: random.Random) -> None:
        """Lose some part of the end, or none."""
        length = len(self.disk) - max(0, rng.randint(-len(self.disk), len(self.disk)))
        del self.disk[length:], self.cache[length:]

    def _keep_by_chance(self, mode: PowerLoss, rng: random.Random) -> None:
        survivors = {page: self._torn(page, rng) for page in sorted(self.dirty)}
        stable, seen = len(self.disk), len(self.cache)
        size = rng.choice((stable, seen, seen, rng.randint(min(stable, seen), max(stable, seen))))
        if mode is PowerLoss.ORDERED and seen > stable:
            whole = [page for page, content in survivors.items() if content != self._page(self.cache, page)]
            size = max(stable, min(size, min(whole, default=seen) * PAGE))
        _resize(self.disk, size)
        for page, content in survivors.items():
            self._write(page, content)

    def _torn(self, page: int, rng: random.Random) -> bytes:
        """A dirty page after the loss: new content up to some sector, and old content after it."""
        new, old = self._page(self.cache, page), self._page(self.disk, page)
        cut = rng.choice((0, len(new), SECTOR * rng.randint(0, PAGE // SECTOR)))
        return new[:cut] + old[cut:]

    def _page(self, content: bytearray, page: int) -> bytes:
        return bytes(content[page * PAGE : (page + 1) * PAGE])

    def _write(self, page: int, content: bytes) -> None:
        """Write a page to the disk, within the length of the disk's file."""
        start = page * PAGE
        room = max(0, len(self.disk) - start)
        self.disk[start : start + min(len(content), room)] = content[:room]


@dataclass(frozen=True, slots=True)
class Change:
    """An atomic change of names in a directory. None removes the name."""

    number: int
    names: dict[str, Node | None]


@dataclass(slots=True)
class Directory:
    """The visible names, the stable names, and the changes between them, oldest first."""

    seen: dict[str, Node] = field(default_factory=dict)
    stable: dict[str, Node] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    def change(self, change: Change) -> None:
        """Change the visible names."""
        _apply(change, self.seen)
        self.changes.append(change)

    def is_stable(self, name: str) -> bool:
        """Whether the visible state of a file would survive a power loss; older data may come back in addition."""
        node = self.seen[name]
        assert isinstance(node, Inode)
        return not node.cache or (self.stable.get(name) is node and node.disk.startswith(node.cache))

    def size(self, name: str) -> int:
        """The visible bytes of a file."""
        node = self.seen[name]
        assert isinstance(node, Inode)
        return len(node.cache)

    def sync(self) -> None:
        """Make all names stable."""
        self.stable = dict(self.seen)
        self.changes.clear()


Node: TypeAlias = Inode | Directory


class User(Protocol):
    """An incarnation of a process that has the disk open."""

    def kill(self) -> None:
        """End it."""


class SimDisk:
    """A tree of directories and files."""

    def __init__(self, capacity: int | None = None) -> None:
        self.root = Directory()
        self.capacity = capacity
        self.users: list[User] = []
        self._changes = 0

    def find(self, path: str) -> Node | None:
        """The file or directory at a path; "" is the root."""
        node: Node | None = self.root
        for part in filter(None, path.split("/")):
            node = node.seen.get(part) if isinstance(node, Directory) else None
        return node

    def change(self, directory: Directory, names: dict[str, Node | None]) -> None:
        """Change names in a directory."""
        self._changes += 1
        directory.change(Change(self._changes, names))

    def free(self) -> int:
        """The free bytes."""
        return 2**63 if self.capacity is None else max(0, self.capacity - self.used())

    def used(self) -> int:
        """The bytes of all files that have a name."""
        return sum(len(inode.cache) for inode in self._inodes())

    def lose_power(self, mode: PowerLoss, rng: random.Random) -> None:
        """End all users of the disk, and reduce the visible state to what the power loss leaves."""
        for user in list(self.users):
            user.kill()
        named = set(self._inodes())
        self._lose_names(self.root, mode, rng, rng.randint(0, self._changes))
        for inode in self._inodes():
            inode.lose_power(mode, rng)
            if inode.is_cut and inode not in named:
                inode.come_back_cut(rng)

    def _lose_names(self, directory: Directory, mode: PowerLoss, rng: random.Random, moment: int) -> None:
        names = dict(directory.stable)
        for change in directory.changes:
            if (
                mode is PowerLoss.ALL_KEPT
                or (mode is PowerLoss.CHAOS and rng.random() < 0.5)
                or (mode in (PowerLoss.ORDERED, PowerLoss.SIZE_FIRST) and change.number <= moment)
            ):
                _apply(change, names)
        directory.seen, directory.stable, directory.changes = names, dict(names), []
        for _, node in sorted(names.items()):
            if isinstance(node, Directory):
                self._lose_names(node, mode, rng, moment)

    def _inodes(self) -> list[Inode]:
        """All files that have a name, each once even if it has several."""
        return list(dict.fromkeys(_named_inodes(self.root)))


def _named_inodes(directory: Directory) -> Iterator[Inode]:
    for _, node in sorted(directory.seen.items()):
        if isinstance(node, Directory):
            yield from _named_inodes(node)
        else:
            yield node


def _apply(change: Change, names: dict[str, Node]) -> None:
    for name, node in change.names.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _pages(size: int) -> int:
    return -(-size // PAGE)


def _resize(content: bytearray, size: int) -> None:
    if size < len(content):
        del content[size:]
    else:
        content.extend(bytes(size - len(content)))
