"""The reports to an operator about a worker's trouble, and about the state in which its log was found."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shardstore.seams.effects import Effect, Say
from shardstore.stalls import QUIET_NS, Stalls
from shardstore.workers.trouble import Trouble
from shardstore.workers.wal.recovery import RecoveredLog
from shardstore.workers.wal.scan import TailCut

FULL = "disk full: cannot append to segments/00000001/000003.sst: No space left on device"


def said(effects: list[Effect]) -> list[str]:
    assert all(isinstance(effect, Say) for effect in effects)
    return [effect.words for effect in effects if isinstance(effect, Say)]


def test_a_job_that_finds_the_disk_full_is_told_once_and_so_is_its_end() -> None:
    ranges: dict[int, Any] = {number: SimpleNamespace(last_failure="") for number in range(3)}
    trouble = Trouble(ranges, Stalls())
    assert trouble.news() == []
    ranges[1].last_failure = FULL
    assert said(trouble.news()) == [f"{FULL}; writes may be refused until there is room"]
    ranges[2].last_failure = "disk full: cannot append to another file"
    assert trouble.news() == []
    ranges[1].last_failure = ""
    assert trouble.news() == [], "the other one still fails"
    ranges[2].last_failure = ""
    assert said(trouble.news()) == ["what failed works again"]
    ranges[0].last_failure = "t.sst at byte 7: checksum"
    assert said(trouble.news()) == ["t.sst at byte 7: checksum; it is tried again"]


def test_a_log_that_finds_the_disk_full_is_told_while_writes_are_refused() -> None:
    stalls = Stalls()
    trouble = Trouble({}, stalls)
    stalls.refused("buffers of the range", 0)
    assert trouble.news() == [], "pressure does not count as trouble"
    stalls.refused(FULL, 0)
    assert said(trouble.news()) == [f"{FULL}; writes may be refused until there is room"]
    stalls.pass_time(QUIET_NS)
    assert said(trouble.news()) == ["what failed works again"]


@pytest.mark.parametrize(
    ("cut", "in_order", "words"),
    [
        (None, True, "replays 1,500 records of its log after a clean stop"),
        (None, False, "replays 1,500 records of its log after an unclean stop"),
        (
            TailCut("workers/0000/wal-1", 96, 1200, 0),
            False,
            "replays 1,500 records of its log after an unclean stop; "
            "1,200 unsynced bytes were cut from workers/0000/wal-1",
        ),
    ],
)
def test_how_the_log_was_found(cut: TailCut | None, in_order: bool, words: str) -> None:
    log = RecoveredLog(1, 500, 2000, 2001, (), cut, ended_in_order=in_order)
    assert log.in_words() == words
