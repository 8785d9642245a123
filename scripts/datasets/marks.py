r"""Marks: how much of an input is loaded, stored in the cluster together with the data.

    key      "\0load_dataset/" + BLAKE2b-128 of the input's path, in hexadecimal digits
    value    JSON: {"version": 1, "path": ..., "reading": the format and its options,
                    "identity": {"size": ..., "mtime_ns": ..., "inode": ...},
                    "position": bytes, "line": lines, "records": ..., "skipped": ... of all runs together}

A mark is written after the batch before it was acknowledged. So an interrupted load continues at most one batch before
the place it had reached, and writes that batch again with the same content. Marks are removed together once all inputs
of a command are loaded. With `--durability async`, a power failure may lose the last second of data before a mark: use
--restart after one.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from datasets.batches import Batch
from datasets.inputs import Input
from datasets.records import BadData, Place

KEY_PREFIX = b"\0load_dataset/"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in an input; everything before it is in the cluster."""

    path: str
    reading: str
    identity: dict[str, Any]
    position: int = 0
    line: int = 0
    records: int = 0
    skipped: int = 0

    @classmethod
    def at_start(cls, source: Input) -> Self:
        """The mark at the start of an input."""
        return cls(source.path, source.reading, source.identity or {})

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """The mark of a stored value. Raises BadData."""
        try:
            fields = json.loads(value)
            if fields.pop("version") != VERSION:
                raise BadData("the mark of an earlier load has another version")
            return cls(**fields)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise BadData("the mark of an earlier load cannot be read") from None

    def encode(self) -> bytes:
        """The stored value."""
        return json.dumps({"version": VERSION} | asdict(self)).encode()

    @property
    def key(self) -> bytes:
        """The key under which the mark is stored."""
        return key_of(self.path)

    @property
    def place(self) -> Place:
        """The place at which to continue."""
        return Place(self.position, self.line)

    def behind(self, batch: Batch) -> Self:
        """The mark after this batch."""
        return replace(
            self,
            position=batch.end.position,
            line=batch.end.line,
            records=self.records + len(batch.records),
            skipped=self.skipped + len(batch.bad),
        )

    def check(self, source: Input) -> None:
        """Raise BadData unless the input and how it is read are the same as when the mark was made."""
        if self.reading != source.reading:
            raise BadData(f"it was read as {self.reading}, and now as {source.reading}")
        now = source.identity or {}
        changed = sorted(name for name in {*self.identity, *now} if self.identity.get(name) != now.get(name))
        if changed:
            raise BadData(f"it has changed since, in its {' and '.join(changed)}")


def key_of(path: str) -> bytes:
    """The key of the mark of an input."""
    return KEY_PREFIX + hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest().encode()
