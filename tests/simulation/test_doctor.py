"""The doctor has no findings in a store that only crashed: by a loss of power, or as all its processes were killed."""

from __future__ import annotations

from typing import Any

import pytest

from shardstore.doctor.findings import Kind
from shardstore.files.documents import encode_document
from shardstore.files.file_names import STORE
from shardstore.files.formats import STORE_DOCUMENT
from tests.damage.store import files_of
from tests.damage.test_doctor import examined
from tests.simulation.sim_disk import SimDisk
from tests.simulation.swarm import draw
from tests.simulation.world import World, patched

SEEDS = 24
TURNS_BETWEEN = 400
IDENTITY = encode_document(STORE_DOCUMENT, {"store": "store", "workers": 1, "boundaries": []})
"""STORE, which simulated stores do not have."""


def check(disk: SimDisk) -> None:
    """Examine the files as they are seen now: a killed process leaves just that."""
    diagnosis = examined({**files_of(disk), STORE: IDENTITY})
    assert [each for each in diagnosis.serious if each.kind is not Kind.SPACES] == []  # keys here are of any bytes


class ExaminedWorld(World):
    """A world whose disk is examined every so many turns of its servers."""

    turns = 0

    def _check(self, server: Any) -> None:
        super()._check(server)
        self.turns += 1
        if self.turns % TURNS_BETWEEN == 0:
            check(self.host.disk)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_store_that_only_crashed_is_healthy(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_power = SimDisk.lose_power

    def and_check(disk: SimDisk, *how: Any) -> None:
        lose_power(disk, *how)
        check(disk)

    monkeypatch.setattr(SimDisk, "lose_power", and_check)
    swarm = draw(seed)
    with patched(swarm.patches()):
        ExaminedWorld(swarm).run()
