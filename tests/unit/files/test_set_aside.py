"""The directory of a segment that was given up gets another name, and nothing is removed."""

from __future__ import annotations

from random import Random

from shardstore.files.file_names import SEGMENTS, is_segment_aside, segment_of
from shardstore.files.set_aside import set_aside
from tests.simulation.sim_disk import PowerLoss, SimDisk
from tests.simulation.sim_filesystem import SimFilesystem


def test_a_segment_is_set_aside_once_and_durably() -> None:
    disk = SimDisk()
    filesystem = SimFilesystem(disk, Random(1))
    filesystem.make_directory("segments/0000002a")
    file = filesystem.create("segments/0000002a/MANIFEST")
    file.append([b"content"])
    file.sync()
    filesystem.sync_directory("segments/0000002a")
    for _ in range(2):
        set_aside(filesystem, 42)
    disk.lose_power(PowerLoss.STRICT, Random(1))
    filesystem = SimFilesystem(disk, Random(1))
    assert filesystem.list_directory(SEGMENTS) == ["0000002a.aside-1"]
    assert bytes(filesystem.map("segments/0000002a.aside-1/MANIFEST")) == b"content"


def test_a_second_one_of_the_same_number_gets_a_name_of_its_own() -> None:
    filesystem = SimFilesystem(SimDisk(), Random(1))
    for _ in range(2):
        filesystem.make_directory("segments/0000002a")
        set_aside(filesystem, 42)
    names = filesystem.list_directory(SEGMENTS)
    assert names == ["0000002a.aside-1", "0000002a.aside-2"]
    assert all(is_segment_aside(name) and segment_of(name) is None for name in names)
