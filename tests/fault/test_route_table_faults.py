"""The route map under crashes and failed syncs: published maps are found again, and epochs never decrease."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace

import pytest

from shardstore.errors import StorageFailure
from shardstore.identifiers import Epoch
from shardstore.router.route_table import RouteTable, open_route_table
from tests.simulation.sim_disk import PowerLoss, SimDisk
from tests.simulation.sim_filesystem import SimCrash, SimFilesystem

SEEDS = range(10)
EPOCHS = 3
STEPS_MAX = 60


def reopen(filesystem: SimFilesystem) -> RouteTable:
    return open_route_table(filesystem, "store", ["80"], workers=2)


def publish_epochs(filesystem: SimFilesystem, published: list[int]) -> None:
    """Open the table and publish some epochs of the first route, recording each durable one."""
    table = reopen(filesystem)
    published.append(table.current.routes[0].epoch)
    for _ in range(EPOCHS):
        first = table.current.routes[0]
        table.publish([replace(first, epoch=Epoch(first.epoch + 1))])
        published.append(first.epoch + 1)


@pytest.mark.fault("M1")
@pytest.mark.parametrize("mode", PowerLoss, ids=lambda mode: mode.name.lower())
def test_power_loss_at_every_step_leaves_the_last_published_map_or_the_next(mode: PowerLoss) -> None:
    for seed in SEEDS:
        for step in range(1, STEPS_MAX):
            disk, rng, published = SimDisk(), random.Random(seed), [-1]
            filesystem = SimFilesystem(disk, rng)
            filesystem.crash_in = step
            with suppress(SimCrash):
                publish_epochs(filesystem, published)
            went_through = filesystem.alive
            disk.lose_power(mode, rng)
            found = reopen(SimFilesystem(disk, rng)).current.routes[0].epoch
            assert max(0, published[-1]) <= found <= published[-1] + 1, (seed, step)
            if went_through:
                break
        assert went_through, "more steps than were tried"


def test_a_failed_sync_is_told_and_the_map_in_memory_stays() -> None:
    for sync in range(1, EPOCHS + 1):
        filesystem = SimFilesystem(SimDisk(), random.Random(sync))
        table = reopen(filesystem)
        before = table.current
        filesystem.fail_sync_in = sync
        with suppress(StorageFailure):
            for _ in range(EPOCHS):
                table.publish([replace(before.routes[0], epoch=Epoch(9))])
        assert filesystem.fail_sync_in is None
        assert table.current.version - before.version == (sync - 1) // 2
