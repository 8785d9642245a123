r"""How far the load of an input has come: a mark, kept in the cluster itself beside what was loaded.

    key      "\0load_dataset/" + BLAKE2b-128 of the input's path, in hexadecimal digits
    value    JSON: {"version": 1, "path": ..., "reading": the format and its options,
                    "identity": {"size": ..., "mtime_ns": ..., "inode": ...},
                    "position": bytes, "line": lines, "records": ..., "skipped": ... of all runs together}

A mark is written after the batch before it was acknowledged. So a load that was interrupted goes on at most one batch
before the place it had come to, and what is written twice is written with the same content. Marks are removed together
when all inputs of a command are loaded. Under `--durability async` a power cut may lose the last second of what a mark
speaks for: use --restart after one.
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
    """Everything of the input before this place is in the cluster."""

    path: str
    reading: str
    identity: dict[str, Any]
    position: int = 0
    line: int = 0
    records: int = 0
    skipped: int = 0

    @classmethod
    def at_start(cls, source: Input) -> Self:
        """Nothing is loaded yet."""
        return cls(source.path, source.reading, source.identity or {})

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """The mark in a stored value. Raises BadData."""
        try:
            fields = json.loads(value)
            if fields.pop("version") != VERSION:
                raise BadData("the mark of an earlier load has another version")
            return cls(**fields)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise BadData("the mark of an earlier load cannot be read") from None

    def encode(self) -> bytes:
        """What is stored."""
        return json.dumps({"version": VERSION} | asdict(self)).encode()

    @property
    def key(self) -> bytes:
        """What it is stored under."""
        return key_of(self.path)

    @property
    def place(self) -> Place:
        """Where to read on."""
        return Place(self.position, self.line)

    def behind(self, batch: Batch) -> Self:
        """The mark once this batch was acknowledged."""
        return replace(
            self,
            position=batch.end.position,
            line=batch.end.line,
            records=self.records + len(batch.records),
            skipped=self.skipped + len(batch.bad),
        )

    def check(self, source: Input) -> None:
        """Raise BadData unless the input and the way it is read are those the mark was made for."""
        if self.reading != source.reading:
            raise BadData(f"it was begun as {self.reading}, and this is {source.reading}")
        now = source.identity or {}
        changed = sorted(name for name in {*self.identity, *now} if self.identity.get(name) != now.get(name))
        if changed:
            raise BadData(f"it has changed since: another {' and '.join(changed)}")


def key_of(path: str) -> bytes:
    """Where the mark of an input is stored."""
    return KEY_PREFIX + hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest().encode()
