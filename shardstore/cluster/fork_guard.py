"""What a fork of the supervisor's process must not keep.

A program that runs a LocalCluster may fork. Locks and pipes that were to end with the supervisor would then live as
long as the fork, so every fork gives its copies up at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from weakref import WeakKeyDictionary

_given_up_in_forks: WeakKeyDictionary[object, Callable[[], None]] = WeakKeyDictionary()


def give_up_in_forks(owner: object, give_up: Callable[[], None]) -> None:
    """Call `give_up` in every fork made while `owner` lives; it must not refer to the owner."""
    _given_up_in_forks[owner] = give_up


def _after_fork() -> None:
    for give_up in list(_given_up_in_forks.values()):
        give_up()
    _given_up_in_forks.clear()


os.register_at_fork(after_in_child=_after_fork)
