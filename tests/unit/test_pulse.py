"""The detection of hanging processes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from shardstore.limits import SECOND_NS
from shardstore.pulse import HANGS_NS, HANGS_STARTING_NS, LOOK_NS, Doing, Look, Pulse


def looks_until_it_hangs(pulse: Pulse, looks: Iterable[Look], serves: bool = True) -> int | None:
    return next((number for number, look in enumerate(looks) if pulse.still_silent(look, serves)), None)


def working(share: float, looks: int = 1_000) -> list[Look]:
    """A process that gets this share of a processor."""
    return [Look(Doing.WORKING, int(share * number * LOOK_NS)) for number in range(looks)]


def quiet(doing: Doing, looks: int = 1_000) -> list[Look]:
    return [Look(doing, 7)] * looks


@pytest.mark.parametrize("doing", [Doing.STOPPED, Doing.ASLEEP])
def test_who_is_stopped_or_sleeps_hangs_soon(doing: Doing) -> None:
    assert looks_until_it_hangs(Pulse(), quiet(doing)) == HANGS_NS // LOOK_NS
    assert looks_until_it_hangs(Pulse(), quiet(doing), serves=False) == HANGS_STARTING_NS // LOOK_NS


def test_who_is_in_a_loop_hangs_when_it_has_had_the_time() -> None:
    assert looks_until_it_hangs(Pulse(), working(1.0)) == HANGS_NS // LOOK_NS
    assert looks_until_it_hangs(Pulse(), working(0.25)) == 4 * HANGS_NS // LOOK_NS


@pytest.mark.fault("W9")
def test_who_gets_no_processor_or_waits_for_a_disk_does_not_hang() -> None:
    assert looks_until_it_hangs(Pulse(), working(0.0)) is None
    assert looks_until_it_hangs(Pulse(), working(0.01)) is None


def test_who_recovers_may_work_for_as_long_as_it_must() -> None:
    assert looks_until_it_hangs(Pulse(), working(1.0), serves=False) is None


def test_a_sign_of_life_ends_the_silence() -> None:
    pulse = Pulse()
    for _ in range(10):
        assert looks_until_it_hangs(pulse, quiet(Doing.STOPPED, HANGS_NS // LOOK_NS)) is None
        pulse.showed_life()


def test_threads_do_not_make_it_hang_sooner_than_one_processor_could() -> None:
    assert looks_until_it_hangs(Pulse(), working(8.0)) == HANGS_NS // LOOK_NS


def test_a_look_after_a_long_pause_counts_like_any_other() -> None:
    """After a suspension of the machine or of the watcher, processor time has not grown with the clock."""
    pulse = Pulse()
    assert looks_until_it_hangs(pulse, quiet(Doing.ASLEEP, 3)) is None
    pulse.showed_life()
    assert looks_until_it_hangs(pulse, [Look(Doing.WORKING, 0), Look(Doing.WORKING, 3600 * SECOND_NS)]) is None


def test_who_starts_gets_on_while_it_works_and_not_while_it_waits() -> None:
    pulse = Pulse()
    assert [pulse.worked(look) for look in working(0.06, 4)] == [True] * 4
    assert pulse.worked(Look(Doing.WORKING, 0)), "it may be waiting for a processor"
    pulse = Pulse()
    asleep = [Look(Doing.ASLEEP, number * LOOK_NS // 100) for number in range(4)]
    assert [pulse.worked(look) for look in asleep] == [True, False, False, False]
