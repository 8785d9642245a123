"""Every damage of a short sweep is found by the doctor, or is harmless: the store then serves rightly all the same."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from shardstore.doctor.diagnosis import Diagnosis
from shardstore.doctor.examination import Examination
from tests.damage.history import History, make
from tests.damage.store import disk_of
from tests.damage.test_sweep import SLICES, chosen
from tests.damage.verdicts import Verdict, judge
from tests.simulation.sim_filesystem import SimFilesystem


@pytest.fixture(scope="module")
def history() -> History:
    return make()


def examined(files: Mapping[str, bytes]) -> Diagnosis:
    examination = Examination(SimFilesystem(disk_of(files), random.Random(1)), "")
    for _ in examination.run(processes=1):
        pass
    return examination.diagnosis


def test_a_sound_store_has_no_findings_at_any_stop(history: History) -> None:
    for files in history.stops[1:]:
        diagnosis = examined(files)
        assert diagnosis.findings == []
        assert diagnosis.files > 0


@pytest.mark.fault("G13")
@pytest.mark.parametrize("part", range(SLICES))
def test_every_damage_is_found_or_harmless(history: History, part: int) -> None:
    for damage in chosen(history)[part::SLICES]:
        serious = examined(damage.applied(history.files)).serious
        if not serious:
            finding = judge(history, damage)
            assert finding.verdict is Verdict.RIGHT, (damage.kind, damage.what, finding)


def test_what_is_found_is_in_the_damaged_file(history: History) -> None:
    for damage in chosen(history):
        [path, *more] = damage.damaged
        if not more and damage.damaged[path] is not None and "a bit of" in damage.kind:
            serious = examined(damage.applied(history.files)).serious
            assert all(path.startswith(each.file.rpartition("/")[0]) for each in serious), (damage.what, serious)
