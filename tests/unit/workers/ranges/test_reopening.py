"""A range that the disk kept from being opened is tried again, with growing pauses; damage is not."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest

from shardstore.errors import Corruption, StorageFailure, Unavailable
from shardstore.key_range import EVERYTHING
from shardstore.limits import SECOND_NS
from shardstore.seams.effects import Stop
from shardstore.tables.manifest import read_manifest
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.reopening import LONGEST_PAUSE_NS, Reopening
from shardstore.workers.segment.manifest_writer import create_segment, open_manifest
from tests.unit.faulty_filesystem import FaultyFilesystem

STORE = "5" * 16
DIRECTORY = "segments/00000007"


@dataclass
class Disk:
    """A disk with one segment, whose directory cannot be synced while it `fails`."""

    filesystem: FaultyFilesystem
    fails: bool = True

    def refuse(self, number: int, operation: str, path: str) -> None:
        if self.fails and (operation, path) == ("sync_directory", DIRECTORY):
            raise StorageFailure(f"cannot {operation} {path}")


@pytest.fixture
def disk() -> Disk:
    filesystem = FaultyFilesystem()
    create_segment(filesystem, STORE, 7, EVERYTHING, 1)
    disk = Disk(filesystem)
    filesystem.fault = disk.refuse
    with pytest.raises(StorageFailure):
        open_manifest(filesystem, STORE, 7)
    return disk


def unopened(why: Corruption | Unavailable) -> OwnedRange:
    return OwnedRange(7, EVERYTHING, 1, None, DedupWindow(), why)


def tries(disk: Disk, reopening: Reopening, ranges: list[OwnedRange], until_s: int) -> list[int]:
    """The seconds at which there was a try."""
    found = []
    for second in range(until_s):
        before = disk.filesystem.number
        assert reopening.pass_time(ranges, second * SECOND_NS) == []
        if disk.filesystem.number > before:
            found.append(second)
    return found


def test_pauses_double_up_to_the_longest(disk: Disk) -> None:
    found = tries(disk, Reopening(disk.filesystem, STORE), [unopened(Unavailable("the disk"))], 400)
    pauses = [later - earlier for earlier, later in pairwise(found)]
    assert found[0] == 1
    longest = LONGEST_PAUSE_NS // SECOND_NS
    assert pauses == [2, 4, 8, 16, 32, *[longest] * len(pauses[5:])]
    assert len(pauses) > 8


def test_the_worker_starts_anew_when_the_disk_works_again(disk: Disk) -> None:
    reopening, ranges = Reopening(disk.filesystem, STORE), [unopened(Unavailable("the disk"))]
    manifest = read_manifest(disk.filesystem, STORE, 7)
    tries(disk, reopening, ranges, 4)
    disk.fails = False
    [stop] = reopening.pass_time(ranges, 100 * SECOND_NS)
    assert isinstance(stop, Stop)
    assert "segment 7 can be opened again" in stop.failure
    assert open_manifest(disk.filesystem, STORE, 7) == manifest


def test_a_segment_that_turns_out_to_be_damaged_is_opened_to_say_so(disk: Disk) -> None:
    disk.fails = False
    disk.filesystem.remove(f"{DIRECTORY}/MANIFEST")
    reopening, ranges = Reopening(disk.filesystem, STORE), [unopened(Unavailable("the disk"))]
    reopening.pass_time(ranges, 0)
    assert reopening.pass_time(ranges, 100 * SECOND_NS)


def test_damage_is_not_tried_again(disk: Disk) -> None:
    damaged = [unopened(Corruption("MANIFEST", 0, "is damaged"))]
    assert tries(disk, Reopening(disk.filesystem, STORE), damaged, 200) == []
