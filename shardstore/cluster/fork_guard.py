"""Releases, in every forked child of the supervisor's process, what must end with the supervisor.

A program that runs a LocalCluster may fork. The child's copies of locks and pipes would keep them alive after the
supervisor's end, so every child releases its copies at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from weakref import WeakKeyDictionary

_given_up_in_forks: WeakKeyDictionary[object, Callable[[], None]] = WeakKeyDictionary()


def give_up_in_forks(owner: object, give_up: Callable[[], None]) -> None:
    """Call `give_up` in every child forked while `owner` lives. `give_up` must not refer to the owner."""
    _given_up_in_forks[owner] = give_up


def _after_fork() -> None:
    for give_up in list(_given_up_in_forks.values()):
        give_up()
    _given_up_in_forks.clear()


os.register_at_fork(after_in_child=_after_fork)
