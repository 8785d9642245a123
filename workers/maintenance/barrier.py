"""A caller's FLUSH or COMPACT while it is not reached."""

from __future__ import annotations

from dataclasses import dataclass

from workers.serving.reply import Asker


@dataclass(frozen=True, slots=True)
class Barrier:
    """A FLUSH or COMPACT that waits until the segment's tables hold everything up to `lsn`.

    `asker` waits for its end; None for one that did not want to wait.
    """

    op: int
    lsn: int
    asker: Asker | None
