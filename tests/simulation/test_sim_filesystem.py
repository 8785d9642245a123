"""What the simulated disk keeps when a process is killed, and when power is lost."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.errors import DiskFull, StorageFailure
from tests.simulation.sim_disk import PAGE, SECTOR, PowerLoss, SimDisk
from tests.simulation.sim_filesystem import SimCrash, SimFile, SimFilesystem

SEEDS = range(60)


def opened(disk: SimDisk, seed: int = 1) -> SimFilesystem:
    return SimFilesystem(disk, random.Random(seed))


def read(disk: SimDisk, path: str) -> bytes | None:
    filesystem = opened(disk)
    return filesystem.open(path).read_at(0, 10**6) if filesystem.exists(path) else None


def synced_file(filesystem: SimFilesystem, path: str, content: bytes) -> SimFile:
    file = filesystem.create(path)
    file.append([content])
    file.sync()
    filesystem.sync_directory(path.rpartition("/")[0])
    return file


class TestKill:
    def test_keeps_what_was_handed_over(self) -> None:
        disk = SimDisk()
        filesystem = opened(disk)
        filesystem.create("name").append([b"unsynced"])
        filesystem.kill()
        assert read(disk, "name") == b"unsynced"

    def test_handles_of_the_dead_do_nothing(self) -> None:
        disk = SimDisk()
        filesystem = opened(disk)
        file = filesystem.create("name")
        pending = file.begin_sync()
        filesystem.kill()
        with pytest.raises(SimCrash):
            file.append([b"late"])
        with pytest.raises(SimCrash):
            filesystem.remove("name")
        with pytest.raises(SimCrash):
            filesystem.create("other")
        with pytest.raises(SimCrash):
            pending.finish()
        file.close()
        assert read(disk, "name") == b""

    def test_locks_of_the_dead_are_free(self) -> None:
        disk = SimDisk()
        filesystem = opened(disk)
        assert filesystem.lock("LOCK") is not None
        assert opened(disk).lock("LOCK") is None
        filesystem.kill()
        assert opened(disk).lock("LOCK") is not None

    def test_a_crash_comes_at_the_named_call_and_is_told(self) -> None:
        told: list[str] = []
        disk = SimDisk()
        filesystem = SimFilesystem(disk, random.Random(1), lambda: told.append("crash"))
        filesystem.crash_in = 3
        file = filesystem.create("name")
        file.append([b"first"])
        with pytest.raises(SimCrash):
            file.sync()
        assert told == ["crash"]
        assert filesystem.calls == 3
        assert not filesystem.alive

    def test_a_crash_in_an_append_leaves_any_prefix(self) -> None:
        lengths = set()
        for seed in SEEDS:
            disk = SimDisk()
            filesystem = opened(disk, seed)
            file = filesystem.create("name")
            filesystem.crash_in = 1
            with pytest.raises(SimCrash):
                file.append([b"abcd"])
            content = read(disk, "name")
            assert content is not None
            assert b"abcd".startswith(content)
            lengths.add(len(content))
        assert lengths == {0, 1, 2, 3, 4}


class TestPowerLoss:
    @pytest.mark.parametrize("mode", PowerLoss)
    def test_never_takes_what_was_synced(self, mode: PowerLoss) -> None:
        for seed in SEEDS:
            disk = SimDisk()
            filesystem = opened(disk)
            filesystem.make_directory("a/b")
            synced = bytes(random.Random(seed).randbytes(random.Random(seed).randint(1, 3 * PAGE)))
            file = synced_file(filesystem, "a/b/name", synced)
            file.append([b"tail" * 2000])
            synced_file(filesystem, "a/b/new", b"2")
            filesystem.rename("a/b/new", "a/b/old")
            disk.lose_power(mode, random.Random(seed))
            content = read(disk, "a/b/name")
            assert content is not None
            assert content.startswith(synced)
            assert b"2" in (read(disk, "a/b/old"), read(disk, "a/b/new"))

    def test_strict_takes_all_that_was_not(self) -> None:
        disk = SimDisk()
        filesystem = opened(disk)
        file = synced_file(filesystem, "kept", b"synced")
        file.append([b" and not"])
        filesystem.create("unsynced name").sync()
        filesystem.create("old")
        filesystem.sync_directory("")
        filesystem.rename("old", "new")
        disk.lose_power(PowerLoss.STRICT, random.Random(1))
        assert read(disk, "kept") == b"synced"
        assert opened(disk).list_directory("") == ["kept", "old", "unsynced name"]

    def test_an_unsynced_name_is_lost_though_its_content_is_stable(self) -> None:
        disk = SimDisk()
        file = opened(disk).create("name")
        file.append([b"content"])
        file.sync()
        disk.lose_power(PowerLoss.STRICT, random.Random(1))
        assert read(disk, "name") is None

    def test_all_kept_keeps_all(self) -> None:
        disk = SimDisk()
        filesystem = opened(disk)
        filesystem.create("old").append([b"x" * 10_000])
        filesystem.rename("old", "new")
        disk.lose_power(PowerLoss.ALL_KEPT, random.Random(1))
        assert opened(disk).list_directory("") == ["new"]
        assert read(disk, "new") == b"x" * 10_000

    def test_size_first_keeps_the_length_and_zeros(self) -> None:
        disk = SimDisk()
        file = synced_file(opened(disk), "name", b"x" * 100)
        file.append([b"y" * 5_000])
        disk.lose_power(PowerLoss.SIZE_FIRST, random.Random(1))
        assert read(disk, "name") == b"x" * 100 + bytes(5_000)

    def test_ordered_keeps_a_prefix_of_the_changes_of_names(self) -> None:
        counts = set()
        for seed in SEEDS:
            disk = SimDisk()
            filesystem = opened(disk)
            filesystem.make_directory("a")
            filesystem.make_directory("b")
            for number in range(4):
                filesystem.create(f"{'ab'[number % 2]}/{number}")
            disk.lose_power(PowerLoss.ORDERED, random.Random(seed))
            names = opened(disk).list_directory("a") + opened(disk).list_directory("b")
            assert sorted(names) == ["0", "1", "2", "3"][: len(names)]
            counts.add(len(names))
        assert counts == {0, 1, 2, 3, 4}

    def test_chaos_keeps_any_changes_of_names(self) -> None:
        kept = set()
        for seed in SEEDS:
            disk = SimDisk()
            filesystem = opened(disk)
            for name in "abc":
                filesystem.create(name)
            disk.lose_power(PowerLoss.CHAOS, random.Random(seed))
            kept.add(tuple(opened(disk).list_directory("")))
        assert len(kept) == 8

    def test_a_rename_survives_whole_or_not_at_all(self) -> None:
        for mode in PowerLoss:
            for seed in SEEDS:
                disk = SimDisk()
                filesystem = opened(disk)
                synced_file(filesystem, "final", b"old")
                synced_file(filesystem, "temporary", b"new")
                filesystem.rename("temporary", "final")
                disk.lose_power(mode, random.Random(seed))
                names = opened(disk).list_directory("")
                assert (names, read(disk, "final")) in ((["final"], b"new"), (["final", "temporary"], b"old"))

    def test_chaos_keeps_drops_and_tears_pages_at_sectors(self) -> None:
        cuts = set()
        for seed in range(300):
            disk = SimDisk()
            file = synced_file(opened(disk), "name", b"")
            file.append([b"x" * PAGE])
            disk.lose_power(PowerLoss.CHAOS, random.Random(seed))
            content = read(disk, "name")
            assert content is not None
            written = len(content.rstrip(b"\0"))
            assert content[:written] == b"x" * written
            cuts.add(written)
        assert {0, PAGE} < cuts
        assert {SECTOR * number for number in range(9)} < cuts

    def test_a_link_is_kept_by_a_sync_of_its_own_directory_only(self) -> None:
        disk = SimDisk()
        filesystem = opened(disk)
        filesystem.make_directory("one")
        filesystem.make_directory("two")
        synced_file(filesystem, "one/name", b"content")
        filesystem.link("one/name", "two/synced")
        filesystem.sync_directory("two")
        filesystem.link("one/name", "two/lost")
        filesystem.remove("one/name")
        filesystem.sync_directory("one")
        disk.lose_power(PowerLoss.STRICT, random.Random(1))
        assert [read(disk, path) for path in ("two/synced", "two/lost", "one/name")] == [b"content", None, None]

    def test_what_was_removed_gradually_may_come_back_cut(self) -> None:
        content = bytes(range(200))
        found = set()
        for seed in SEEDS:
            disk = SimDisk()
            filesystem = opened(disk)
            synced_file(filesystem, "cut", content)
            synced_file(filesystem, "whole", content)
            filesystem.link("whole", "other")
            filesystem.remove_gradually("cut")
            filesystem.remove_gradually("whole")
            disk.lose_power(PowerLoss.STRICT, random.Random(seed))
            cut = read(disk, "cut")
            assert cut is not None
            assert content.startswith(cut)
            assert read(disk, "whole") == content
            found.add(len(cut))
        assert 200 in found
        assert len(found) > len(SEEDS) // 4

    def test_a_directory_is_gone_when_its_parent_is_synced(self) -> None:
        disk = SimDisk()
        filesystem = opened(disk)
        filesystem.make_directory("one/two")
        filesystem.remove_directory("one/two")
        disk.lose_power(PowerLoss.STRICT, random.Random(1))
        assert opened(disk).exists("one/two")
        filesystem = opened(disk)
        filesystem.remove_directory("one/two")
        filesystem.sync_directory("one")
        disk.lose_power(PowerLoss.STRICT, random.Random(1))
        assert not opened(disk).exists("one/two")

    def test_a_directory_whose_name_is_lost_takes_its_files(self) -> None:
        disk = SimDisk()
        filesystem = opened(disk)
        disk.change(disk.root, {"directory": type(disk.root)()})
        synced_file(filesystem, "directory/name", b"content")
        disk.lose_power(PowerLoss.STRICT, random.Random(1))
        assert opened(disk).list_directory("") == []

    @given(st.data())
    def test_any_history_keeps_the_synced_prefix_of_an_appended_file(self, data: st.DataObject) -> None:
        disk = SimDisk()
        file = opened(disk).create("name")
        opened(disk).sync_directory("")
        written = b""
        stable = 0
        for _ in range(data.draw(st.integers(1, 8))):
            addition = bytes([data.draw(st.integers(1, 255))]) * data.draw(st.integers(0, 2 * PAGE))
            file.append([addition])
            written += addition
            if data.draw(st.booleans()):
                file.sync()
                stable = len(written)
        mode = data.draw(st.sampled_from(list(PowerLoss)))
        disk.lose_power(mode, random.Random(data.draw(st.integers(0, 10**6))))
        content = read(disk, "name")
        assert content is not None
        assert content[:stable] == written[:stable]
        assert len(content) <= len(written)
        assert all(byte in (0, written[at]) for at, byte in enumerate(content))


class TestSync:
    def test_only_what_was_there_when_it_began_is_stable(self) -> None:
        disk = SimDisk()
        file = synced_file(opened(disk), "name", b"")
        file.append([b"before"])
        pending = file.begin_sync()
        file.append([b" after"])
        pending.finish()
        disk.lose_power(PowerLoss.STRICT, random.Random(1))
        assert read(disk, "name") == b"before"

    def test_one_that_ends_late_takes_nothing_back(self) -> None:
        disk = SimDisk()
        file = synced_file(opened(disk), "name", b"")
        file.append([b"first"])
        pending = file.begin_sync()
        file.append([b" second"])
        file.sync()
        pending.finish()
        disk.lose_power(PowerLoss.STRICT, random.Random(1))
        assert read(disk, "name") == b"first second"

    def test_a_failure_is_final_for_the_handle_and_a_lie_for_the_next(self) -> None:
        disk = SimDisk()
        filesystem = opened(disk)
        file = synced_file(filesystem, "name", b"good")
        file.append([b"lost"])
        filesystem.fail_sync_in = 1
        with pytest.raises(StorageFailure, match="sync name"):
            file.sync()
        with pytest.raises(StorageFailure, match="sync name"):
            file.sync()
        again = filesystem.open("name")
        again.sync()
        assert again.read_at(0, 100) == b"goodlost"
        again.drop_cache()
        assert again.read_at(0, 100) == b"good" + bytes(4)

    def test_a_failure_may_hit_a_directory(self) -> None:
        filesystem = opened(SimDisk())
        filesystem.fail_sync_in = 1
        with pytest.raises(StorageFailure, match="sync directory"):
            filesystem.sync_directory("")
        with pytest.raises(StorageFailure, match="sync directory"):
            filesystem.sync_directory("")
        filesystem.forget_failed_sync("")
        filesystem.sync_directory("")


class TestFullDisk:
    def test_an_append_is_cut_short_and_refused(self) -> None:
        disk = SimDisk(capacity=10)
        filesystem = opened(disk)
        filesystem.create("a").append([b"1234"])
        file = filesystem.create("b")
        with pytest.raises(DiskFull, match="append to b"):
            file.append([b"abc", b"defghi"])
        assert file.size() == 6
        file.truncate(0)
        file.append([b"abcdef"])

    def test_a_second_name_takes_no_room(self) -> None:
        disk = SimDisk(capacity=1000)
        filesystem = opened(disk)
        filesystem.create("one").append([b"x" * 900])
        filesystem.link("one", "two")
        filesystem.remove("one")
        assert disk.free() == 100

    def test_removing_a_file_makes_room(self) -> None:
        disk = SimDisk(capacity=10)
        filesystem = opened(disk)
        filesystem.create("a").append([b"1234567890"])
        filesystem.remove("a")
        filesystem.create("b").append([b"1234567890"])
