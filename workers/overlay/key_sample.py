"""A sample of a layer's keys at about equal steps of the bytes written. Its cost per batch is constant."""

from __future__ import annotations

from collections.abc import Sequence

SAMPLE_KEYS_MAX = 128
_MULTIPLIER = 6_364_136_223_846_793_005
_INCREMENT = 1_442_695_040_888_963_407


class KeySample:
    """The sampled `keys`, in the order of writing. Each stands for `step_bytes` of what was written.

    When there are more than SAMPLE_KEYS_MAX keys, every second one is dropped and the step doubles. The distance to the
    next key (one step on average) and which key of a batch is taken are pseudorandom, so that no pattern in the order
    of the keys biases the sample. The sequence is fixed: the same writes leave the same sample.
    """

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.step_bytes = 1
        self._until_bytes = 0
        self._drawn = 1

    def note(self, keys: Sequence[bytes], payload_bytes: int) -> None:
        """Count a written batch. `keys` may be empty if it has no bytes."""
        self._until_bytes -= payload_bytes
        if self._until_bytes < 0:
            self._take(keys)

    def _take(self, keys: Sequence[bytes]) -> None:
        while -self._until_bytes >= SAMPLE_KEYS_MAX * self.step_bytes:
            self._thin()
        while self._until_bytes < 0:
            self.keys.append(keys[self._draw(len(keys))])
            self._until_bytes += 1 + self._draw(2 * self.step_bytes)
        if len(self.keys) > SAMPLE_KEYS_MAX:
            self._thin()

    def _draw(self, below: int) -> int:
        self._drawn = (self._drawn * _MULTIPLIER + _INCREMENT) % 2**64
        return (self._drawn >> 24) % below

    def _thin(self) -> None:
        """Keep every second key; each now stands for twice the bytes."""
        del self.keys[1::2]
        self.step_bytes *= 2
