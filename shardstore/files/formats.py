"""The formats of what a store keeps: the version that is written, and the oldest that is read.

A release writes the newest version of each format and reads those of the release before, so a store of that release
opens. Its files become new ones as they are written anew: log files with their records, tables and manifests with
compactions (`compact` rewrites all), ROUTES and LOG when the store opens. `old_files` in the statistics of a worker
counts what is left.

A change of a format is a new version here. `oldest` stays, the module that reads the format fills in what older
versions lack, and tests/golden/ keeps files of both. The format itself is drawn at the top of that module. What is made
anew at each start has a version of its own, as messages and boards, and is not here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from shardstore.errors import Corruption

RELEASE: Final = "0.1.0"
"""This release, as in pyproject.toml."""
VERSION_AT: Final = 8
"""Where the version is in each of these files: behind the magic."""


class Format(NamedTuple):
    """A format: what its files are called, how they begin, and which of its versions are written and read."""

    kind: str
    magic: bytes
    version: int
    oldest: int

    def flaw(self, found: int) -> str:
        """Return why a version is not read; empty if it is."""
        if self.oldest <= found <= self.version:
            return ""
        readable = f"version {self.version}" if self.oldest == self.version else f"{self.oldest} to {self.version}"
        newer = found > self.version
        needed = f"it needs a release after {RELEASE}" if newer else "open it with the release that wrote it"
        return (
            f"format version {found}, this program ({RELEASE}) reads {readable}: {'a newer' if newer else 'an older'} "
            f"shardstore wrote it; {needed}, nothing was changed"
        )

    def check(self, path: str, found: int) -> None:
        """Raise Corruption, naming the file, if a version is not read."""
        if flaw := self.flaw(found):
            raise Corruption(path, VERSION_AT, flaw)


TABLE: Final = Format("table file", b"shardsst", version=3, oldest=3)
MANIFEST: Final = Format("manifest", b"shardMAN", version=6, oldest=4)
LOG_FILE: Final = Format("log file", b"shardWAL", version=4, oldest=2)
LOG_DOCUMENT: Final = Format("log document", b"shardLOG", version=3, oldest=2)
ROUTE_MAP: Final = Format("route map", b"sSROUTES", version=5, oldest=3)
STORE_DOCUMENT: Final = Format("store", b"SHSTORE\0", version=1, oldest=1)
SPACE_DOCUMENT: Final = Format("document of a space", b"", version=2, oldest=1)
"""A value of the store, not a file; its version is in its map."""

DOCUMENTS: Final = {each.magic: each for each in (MANIFEST, LOG_DOCUMENT, ROUTE_MAP, STORE_DOCUMENT)}
"""The files that documents.py reads and writes, by magic."""
