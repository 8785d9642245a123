"""Timers of a session: which events are due, and when."""

from __future__ import annotations

from shardstore.client.session.timers import Timers

GRAIN_NS = 1 << 21


class Thing:
    due_tick = 0


def test_a_timer_is_due_within_a_tick_and_never_early() -> None:
    for due_ns in (0, 1, GRAIN_NS - 1, GRAIN_NS, 10**9, 10**15 + 7):
        timers, thing = Timers(), Thing()
        timers.set(thing, due_ns)
        wakeup_ns = timers.wakeup_ns()
        assert wakeup_ns is not None
        assert due_ns <= wakeup_ns <= due_ns + GRAIN_NS
        assert timers.take_due(wakeup_ns - 1) == []
        assert timers.take_due(wakeup_ns) == [thing]
        assert timers.wakeup_ns() is None
        assert thing.due_tick == 0


def test_setting_again_replaces_and_clearing_forgets() -> None:
    timers, first, second = Timers(), Thing(), Thing()
    timers.set(first, 10**9)
    timers.set(second, 2 * 10**9)
    timers.set(first, 3 * 10**9)
    assert timers.take_due(2 * 10**9 + GRAIN_NS) == [second]
    timers.clear(first)
    timers.clear(first)
    timers.check_invariants()
    assert timers.wakeup_ns() is None
    assert timers.take_due(10**10) == []


def test_due_items_come_in_the_order_of_their_times() -> None:
    timers, things = Timers(), [Thing() for _ in range(50)]
    for at, thing in enumerate(things):
        timers.set(thing, (at * 7 % 50) * GRAIN_NS)
        timers.check_invariants()
    due = timers.take_due(100 * GRAIN_NS)
    assert due == sorted(things, key=lambda thing: things.index(thing) * 7 % 50)


def test_timers_set_and_cleared_leave_little_behind() -> None:
    timers = Timers()
    for at in range(100_000):
        thing = Thing()
        timers.set(thing, 10**9 + at * 1_000)
        timers.clear(thing)
    assert timers.wakeup_ns() is None
    assert timers._items == {}
    assert timers._ticks == []
