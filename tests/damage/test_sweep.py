"""A short sweep: no damage to a file leads to silently wrong data. Former mistakes are found again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import shardstore.workers.core
import shardstore.workers.ranges.range_opener
from tests.damage.damages import Damage, damages
from tests.damage.history import History, make
from tests.damage.verdicts import GOOD, Verdict, judge

STEP = 24
"""Of kinds with many damages, only one in this many is tried."""
SLICES = 4


@pytest.fixture(scope="module")
def history() -> History:
    return make()


def chosen(history: History) -> list[Damage]:
    """All damages with missing or older files, and a sample of the rest."""
    swept = list(damages(history, make(seed=2), every_byte=False))
    telling = [each for each in swept if any(what in each.kind for what in ("missing", "earlier", "as it was"))]
    return [*telling, *swept[::STEP]]


def of_kind(history: History, kind: str) -> list[Damage]:
    return [each for each in damages(history, history, every_byte=False) if each.kind == kind]


@pytest.mark.fault("L10", "G3", "G4", "M1")
@pytest.mark.parametrize("part", range(SLICES))
def test_nothing_is_wrong_without_an_error_that_names_a_file_and_all_heals(history: History, part: int) -> None:
    for damage in chosen(history)[part::SLICES]:
        finding = judge(history, damage)
        assert finding.verdict in GOOD, (damage.kind, damage.what, finding)


@pytest.mark.parametrize(
    ("kind", "module", "name"),
    [
        ("MANIFEST: an earlier version", shardstore.workers.ranges.range_opener, "_check_version"),
        ("directory in workers: missing", shardstore.workers.core, "check_life"),
        ("directory in workers: as it was", shardstore.workers.core, "check_life"),
    ],
)
def test_a_check_that_is_left_out_shows_as_a_silent_loss(
    history: History, kind: str, module: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks_nothing: Callable[..., None] = lambda *_: None  # noqa: E731
    monkeypatch.setattr(module, name, checks_nothing)
    assert Verdict.SILENT in {judge(history, damage).verdict for damage in of_kind(history, kind)}


def test_the_sound_store_is_served_rightly(history: History) -> None:
    assert judge(history, Damage("", "", {})).verdict is Verdict.RIGHT
