"""Where the bytes of a layer lie: keys at about equal steps of what is written, at a constant cost for each batch."""

from __future__ import annotations

from collections.abc import Sequence

MARKS_MAX = 128
_MULTIPLIER = 6_364_136_223_846_793_005
_INCREMENT = 1_442_695_040_888_963_407


class KeyMarks:
    """`keys` stand for `step_bytes` each, in the order of writing. The step doubles whenever there are MARKS_MAX.

    Where the next mark is set is drawn about a step away, and which key of a batch, so that no pattern in the order of
    keys counts for more than another. The draws are those of a fixed sequence: the same writes leave the same marks.
    """

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.step_bytes = 1
        self._until_bytes = 0
        self._drawn = 1

    def note(self, keys: Sequence[bytes], payload_bytes: int) -> None:
        """Count a batch that was written; `keys` may be empty when it has no bytes."""
        self._until_bytes -= payload_bytes
        if self._until_bytes < 0:
            self._take(keys)

    def _take(self, keys: Sequence[bytes]) -> None:
        while -self._until_bytes >= MARKS_MAX * self.step_bytes:
            self._thin()
        while self._until_bytes < 0:
            self.keys.append(keys[self._draw(len(keys))])
            self._until_bytes += 1 + self._draw(2 * self.step_bytes)
        if len(self.keys) > MARKS_MAX:
            self._thin()

    def _draw(self, below: int) -> int:
        self._drawn = (self._drawn * _MULTIPLIER + _INCREMENT) % 2**64
        return (self._drawn >> 24) % below

    def _thin(self) -> None:
        """Keep every second mark, for twice the bytes."""
        del self.keys[1::2]
        self.step_bytes *= 2
