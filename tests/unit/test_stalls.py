"""Stalls: their begin, duration and end, and the latest ones kept."""

from __future__ import annotations

from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.stalls import EVENTS_MAX, QUIET_NS, Stalls


def test_a_stall_lasts_until_nothing_was_refused_for_a_while() -> None:
    stalls = Stalls()
    for milliseconds in (0, 600, 1_200):
        stalls.refused("full", milliseconds * MILLISECOND_NS)
    lasting = stalls.statistics(1_300 * MILLISECOND_NS)
    assert lasting == {"now": 1, "events": [{"event": "start", "cause": "full", "ago_ms": 1_300, "refused": 3}]}
    over = stalls.statistics(1_200 * MILLISECOND_NS + QUIET_NS)
    assert over["now"] == 0
    assert [(event["event"], event["ago_ms"]) for event in over["events"]] == [("start", 2_200), ("end", 1_000)]


def test_causes_are_told_apart_and_events_come_in_order() -> None:
    stalls = Stalls()
    stalls.refused("range", 0)
    stalls.refused("log", SECOND_NS // 2)
    stalls.refused("log", SECOND_NS)
    events = stalls.statistics(SECOND_NS)["events"]
    assert [(event["event"], event["cause"]) for event in events] == [
        ("start", "range"),
        ("end", "range"),
        ("start", "log"),
    ]


def test_a_refusal_after_a_while_is_another_stall() -> None:
    stalls = Stalls()
    stalls.refused("full", 0)
    stalls.refused("full", 5 * SECOND_NS)
    assert [event["event"] for event in stalls.statistics(5 * SECOND_NS)["events"]] == ["start", "end", "start"]


def test_events_are_bounded() -> None:
    stalls = Stalls()
    for at in range(1_000):
        stalls.refused("full", at * 2 * QUIET_NS)
    assert len(stalls.statistics(0)["events"]) == EVENTS_MAX
