"""The loads of a reader while a history goes on: each is a choice of the time.

Reduction: of the times at which a load finds the same value, only the first one is tried. What the reader can find
afterwards at a later time it can also find from there, and the checks are the strictest if it comes to its end early.
So a load is tried with each value that it can find, and all runs together stand for every order of the steps.
"""

from __future__ import annotations

from typing import Any

from tests.interleavings.exploration import Choices
from tests.interleavings.history import History, Place


class Loads:
    """The loads of one reader. `now`: how many steps the writers have done."""

    def __init__(self, history: History, choices: Choices) -> None:
        self.history = history
        self.now = 0
        self.waits = True
        """Whether a load may wait for further steps."""
        self._choices = choices

    def load(self, place: Place, default: Any = None) -> Any:
        """Load a value, now or at a later time."""
        options = self.history.options(place, self.now, default)
        at = self._choices.choose(len(options)) if len(options) > 1 and self.waits else 0
        self.now, value = options[at]
        return value

    def load_or_keep(self, kept: Any, place: Place) -> Any:
        """Go on with a value that was loaded before, or load it again."""
        options = [option for option in self.history.options(place, self.now) if option[1] is not kept]
        at = self._choices.choose(1 + len(options)) if options else 0
        if at == 0:
            return kept
        self.now, value = options[at - 1]
        return value
