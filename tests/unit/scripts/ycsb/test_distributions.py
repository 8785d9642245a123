"""The distributions of YCSB: shares follow the formula, the same seed gives the same draws, all are in range."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from ycsb.distributions import (
    SCRAMBLED_RANKS,
    THETA,
    Chooser,
    Hotspot,
    Latest,
    ScrambledZipfian,
    Uniform,
    ZipfianRanks,
    zeta,
)

RECORDS = 1_000
DRAWS = 400_000

MAKERS: dict[str, Callable[[int, np.random.Generator], Chooser]] = {
    "zipfian": ScrambledZipfian,
    "latest": Latest,
    "uniform": lambda records, random: Uniform(random),
    "hotspot": lambda records, random: Hotspot(records, 0.2, 0.8, random),
}
every_distribution = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def shares_of(numbers: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    return np.bincount(numbers, minlength=count) / len(numbers)


def drawn(chooser: Chooser, records: int = RECORDS, draws: int = DRAWS) -> NDArray[np.int64]:
    return chooser.draw(np.full(draws, records))


@pytest.mark.parametrize("items", [1, 2, 3, 1_000, 300_000])
def test_zeta_is_the_sum_it_stands_for(items: int) -> None:
    assert zeta(items) == pytest.approx(sum(rank**-THETA for rank in range(1, items + 1)), rel=1e-12)


def test_zeta_of_the_scrambled_ranks_is_the_constant_in_the_source_of_ycsb() -> None:
    assert zeta(SCRAMBLED_RANKS) == pytest.approx(26.46902820178302, rel=1e-9)


def test_zipfian_ranks_have_the_shares_of_the_formula() -> None:
    shares = shares_of(ZipfianRanks(RECORDS, np.random.default_rng(1)).draw(DRAWS), RECORDS)
    formula = np.arange(1, RECORDS + 1) ** -THETA / zeta(RECORDS)
    assert shares[:2] == pytest.approx(formula[:2], rel=0.03)
    # Beyond the first two ranks the algorithm is approximate: each rank within a fifth, and sums much closer.
    assert shares[2:20] == pytest.approx(formula[2:20], rel=0.2)
    assert np.cumsum(shares) == pytest.approx(np.cumsum(formula), abs=0.02)


@pytest.mark.parametrize("items", [1, 2, 3])
def test_few_zipfian_ranks(items: int) -> None:
    shares = shares_of(ZipfianRanks(items, np.random.default_rng(1)).draw(DRAWS), items)
    formula = np.arange(1, items + 1) ** -THETA / zeta(items)
    assert shares == pytest.approx(formula, abs=0.01)


def test_scrambled_zipfian_is_as_hot_as_the_first_ranks_and_reaches_everywhere() -> None:
    shares = np.sort(shares_of(drawn(ScrambledZipfian(RECORDS, np.random.default_rng(2))), RECORDS))
    # Each record also gets about a thousandth of the many cold ranks that are folded onto all records.
    hottest = 1 / zeta(SCRAMBLED_RANKS)
    assert hottest < shares[-1] < hottest + 3 / RECORDS
    assert shares[0] > 0


def test_scrambled_zipfian_keeps_its_hot_records_whatever_is_inserted() -> None:
    before = drawn(ScrambledZipfian(RECORDS, np.random.default_rng(3)))
    after = drawn(ScrambledZipfian(RECORDS, np.random.default_rng(3)), records=2 * RECORDS)
    assert (before == after).all()


def test_latest_prefers_the_newest_by_age() -> None:
    existing = np.random.default_rng(4).integers(RECORDS, 5 * RECORDS, DRAWS)
    ages = existing - 1 - Latest(RECORDS, np.random.default_rng(4)).draw(existing)
    shares = shares_of(ages, RECORDS)
    assert shares[:2] == pytest.approx(np.array([1, 2**-THETA]) / zeta(RECORDS), rel=0.03)
    assert ages.min() == 0
    assert ages.max() < RECORDS


def test_uniform_is_even_over_all_that_exist() -> None:
    numbers = drawn(Uniform(np.random.default_rng(5)), records=2 * RECORDS)
    counts = np.bincount(numbers, minlength=2 * RECORDS)
    expected = DRAWS / (2 * RECORDS)
    assert np.abs(counts - expected).max() < 6 * expected**0.5


def test_hotspot_has_its_two_fractions() -> None:
    hot_records, hot_operations = 0.1, 0.7
    shares = shares_of(drawn(Hotspot(RECORDS, hot_records, hot_operations, np.random.default_rng(6))), RECORDS)
    hot = shares[: round(RECORDS * hot_records)]
    assert hot.sum() == pytest.approx(hot_operations, abs=0.01)
    assert hot == pytest.approx(np.full(len(hot), hot_operations / len(hot)), rel=0.15)
    assert shares[len(hot) :].min() > 0


@pytest.mark.parametrize("fractions", [(1.0, 0.5), (0.001, 1.0)])
def test_hotspot_at_its_ends(fractions: tuple[float, float]) -> None:
    numbers = drawn(Hotspot(RECORDS, *fractions, np.random.default_rng(7)))
    assert len(np.unique(numbers)) == round(RECORDS * fractions[0])


@every_distribution
@pytest.mark.parametrize("records", [1, 2, 7, 100_000])
def test_nothing_is_out_of_range(make: Callable[[int, np.random.Generator], Chooser], records: int) -> None:
    existing = records + np.arange(10_000) // 100
    numbers = make(records, np.random.default_rng(8)).draw(existing)
    assert len(numbers) == len(existing)
    assert numbers.min() >= 0
    assert (numbers < existing).all()


@every_distribution
def test_the_seed_determines_everything(make: Callable[[int, np.random.Generator], Chooser]) -> None:
    first, same, other = (drawn(make(RECORDS, np.random.default_rng(seed)), draws=1_000) for seed in (9, 9, 10))
    assert (first == same).all()
    assert (first != other).any()
