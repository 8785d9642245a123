"""The status of a store whose parts serve, or do not."""

from __future__ import annotations

from typing import Any

import pytest

from shardstore.cli.store_status import Level, health_of


def worker(*failures: str, stalled_by: str = "", job: str = "", old: dict[str, int] | None = None) -> dict[str, Any]:
    events = [{"event": "start", "cause": "an older one"}, {"event": "end", "cause": "an older one"}]
    events += [{"event": "start", "cause": stalled_by}] if stalled_by else []
    return {
        "ranges": [
            {"failure": "", "last_failure": job},
            *({"failure": failure, "last_failure": failure} for failure in failures),
        ],
        "old_files": old or {},
        "stalls": {"now": int(bool(stalled_by)), "events": events},
    }


@pytest.mark.parametrize(
    ("workers", "level", "line"),
    [
        ([worker(), worker()], Level.SERVES, "serves: 2 workers, 1,024 ranges"),
        ([worker()], Level.SERVES, "serves: 1 worker, 1,024 ranges"),
        (
            [worker(old={"table file": 2}), worker(old={"manifest": 1, "table file": 3})],
            Level.SERVES,
            "serves: 2 workers, 1,024 ranges; 1 manifest and 5 table files in a former format, which compact rewrites",
        ),
        ([worker(), {"unavailable": "worker 1 is down"}], Level.DEGRADED, "degraded: worker 1 is down"),
        (
            [{"unavailable": "no answer within 5 s"}, worker()],
            Level.DEGRADED,
            "degraded: worker 0: no answer within 5 s",
        ),
        (
            [worker("t.sst at byte 7:\nchecksum"), worker()],
            Level.DEGRADED,
            "degraded: worker 0: a range is not served in full, t.sst at byte 7: checksum",
        ),
        (
            [worker(), worker("one", "two", "three")],
            Level.DEGRADED,
            "degraded: worker 1: a range is not served in full, one (and 2 ranges more)",
        ),
        (
            [worker(stalled_by="disk full: /d"), {"unavailable": "worker 1 is down"}],
            Level.DEGRADED,
            "degraded: worker 0: writers are kept waiting, disk full: /d; worker 1 is down",
        ),
        (
            [worker(job="disk full: cannot append to t.sst")],
            Level.DEGRADED,
            "degraded: worker 0: its maintenance fails, disk full: cannot append to t.sst",
        ),
        ([{"unavailable": "worker 0 is down"}], Level.DOWN, "down: worker 0 is down"),
        ([], Level.DOWN, "down: it has no worker"),
    ],
)
def test_the_health(workers: list[dict[str, Any]], level: Level, line: str) -> None:
    router = {"ranges": 1024, "workers": {number: {"state": "up"} for number in range(len(workers))}}
    health = health_of({"router": router} | dict(enumerate(workers)))
    assert (health.level, health.line) == (level, line)


def test_a_worker_without_ranges_and_the_router_count_too() -> None:
    router = {"ranges": 1, "workers": {0: {"state": "up"}, 1: {"state": "up"}}}
    assert health_of({"router": router, 0: worker()}).line == "serves: 2 workers, 1 range"
    router["workers"][1]["state"] = "down"  # type: ignore[index]
    assert health_of({"router": router, 0: worker()}).line == "degraded: worker 1 is down"
    silent = {"router": {"unavailable": "no answer within 5 s"}, 0: worker()}
    assert health_of(silent).line == "degraded: router: no answer within 5 s"


def test_a_worker_that_keeps_dying_is_said_to_be_tried_again() -> None:
    member = {"state": "down", "processes": 7, "heard_ago_ns": 4_200_000_000}
    router = {"ranges": 1, "workers": {0: {"state": "up", "processes": 9}, 1: member}}
    found = {"router": router, 0: worker(), 1: {"unavailable": "worker 1 is down"}}
    tries = "(it was started 7 times and is tried again for ever; last heard 4 s ago)"
    assert health_of(found).line == f"degraded: worker 1 is down {tries}"
    del found[1]
    assert health_of(found).line == f"degraded: worker 1 is down {tries}", "it owns nothing"
    member["processes"] = 1
    assert health_of(found).line == "degraded: worker 1 is down"


def test_the_levels_are_exit_codes() -> None:
    assert [int(level) for level in Level] == [0, 1, 2]
